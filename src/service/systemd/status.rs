//! What the manager's answers and signals say of a unit.

use std::collections::HashMap;
use std::path::PathBuf;

use zbus::{OwnedObjectPath, OwnedVariant};

use super::instance_of;
use crate::service::{UnitChange, UnitDetail, UnitStatus};

/// Below it is every unit's object.
pub(super) const UNIT_PATHS: &str = "/org/freedesktop/systemd1/unit";
/// What all units have.
pub(super) const UNIT: &str = "org.freedesktop.systemd1.Unit";
/// What services have.
pub(super) const SERVICE: &str = "org.freedesktop.systemd1.Service";

/// The answer to `GetAll`.
pub(super) type Properties = HashMap<String, OwnedVariant>;

/// The object path of a unit: bytes other than letters and digits as `_xx`, also a leading digit
/// (`bus_label_escape` of systemd).
pub(super) fn object_path(unit: &str) -> String {
    let mut path = format!("{UNIT_PATHS}/");
    for (at, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    path
}

fn text(properties: &Properties, name: &str) -> Option<String> {
    String::try_from(properties.get(name)?.clone()).ok()
}

fn number(properties: &Properties, name: &str) -> Option<u32> {
    u32::try_from(properties.get(name)?.clone()).ok()
}

/// An entry of the answer to `ListUnitsByPatterns`: name, description, load state, active state,
/// sub-state, followed unit, object path, job id, job type, job path.
pub(super) type ListedUnit =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// A unit of the list.
pub(super) fn listed((name, _, load, active, sub, _, _, id, job, _): ListedUnit) -> UnitStatus {
    UnitStatus {
        instance: instance_of(&name).unwrap_or_default().to_owned(),
        name,
        load,
        active,
        sub,
        job: (id != 0).then_some(job),
    }
}

/// A unit by its properties.
pub(super) fn detail_of(name: &str, found: &Properties) -> UnitDetail {
    let job = found
        .get("Job")
        .and_then(|job| <(u32, OwnedObjectPath)>::try_from(job.clone()).ok())
        .filter(|(id, _)| *id != 0)
        .map(|_| "queued".to_owned());
    let word = |name| text(found, name).unwrap_or_default();
    UnitDetail {
        status: UnitStatus {
            instance: instance_of(name).unwrap_or_default().to_owned(),
            name: name.to_owned(),
            load: word("LoadState"),
            active: word("ActiveState"),
            sub: word("SubState"),
            job,
        },
        enabled: word("UnitFileState"),
        restarts: number(found, "NRestarts").unwrap_or_default(),
        result: text(found, "Result").unwrap_or_default(),
        status_text: text(found, "StatusText").unwrap_or_default(),
        main_pid: number(found, "MainPID").filter(|pid| *pid != 0),
        exit_status: found
            .get("ExecMainStatus")
            .and_then(|status| i32::try_from(status.clone()).ok())
            .unwrap_or_default(),
        since: found
            .get("StateChangeTimestamp")
            .and_then(|time| u64::try_from(time.clone()).ok())
            .unwrap_or_default(),
        cgroup: text(found, "ControlGroup").unwrap_or_default(),
        needs_reload: found
            .get("NeedDaemonReload")
            .and_then(|need| bool::try_from(need.clone()).ok())
            .unwrap_or_default(),
        drop_ins: found
            .get("DropInPaths")
            .and_then(|paths| <Vec<String>>::try_from(paths.clone()).ok())
            .unwrap_or_default()
            .into_iter()
            .map(PathBuf::from)
            .collect(),
    }
}

/// What a `PropertiesChanged` of one of the `watched` units (instance by object path) tells.
pub(super) fn change_of(
    message: &zbus::Message,
    watched: &HashMap<String, String>,
) -> Option<UnitChange> {
    let instance = watched.get(message.header().path()?.as_str())?.clone();
    let body = message.body();
    let (interface, changed, _) = body.deserialize::<(String, Properties, Vec<String>)>().ok()?;
    let change = match interface.as_str() {
        UNIT => UnitChange {
            instance,
            active: text(&changed, "ActiveState"),
            sub: text(&changed, "SubState"),
            status_text: None,
        },
        SERVICE => {
            let status_text = text(&changed, "StatusText");
            UnitChange { instance, status_text, ..UnitChange::default() }
        }
        _ => return None,
    };
    let tells = change.active.is_some() || change.sub.is_some() || change.status_text.is_some();
    tells.then_some(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_path_is_escaped_as_systemd_does() {
        assert_eq!(
            object_path("samocode@jwt-login--a.b.service"),
            "/org/freedesktop/systemd1/unit/samocode_40jwt_2dlogin_2d_2da_2eb_2eservice"
        );
        assert_eq!(object_path("1a"), "/org/freedesktop/systemd1/unit/_31a");
    }
}

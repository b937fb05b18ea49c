//! Reads a unit's status from the manager's answers and signals.

use std::collections::HashMap;

use zbus::{OwnedObjectPath, OwnedVariant};

use super::instance_of;
use crate::service::{UnitChange, UnitDetail, UnitStatus};

/// The parent path of all unit objects.
pub(super) const UNIT_PATHS: &str = "/org/freedesktop/systemd1/unit";
/// The interface of every unit.
pub(super) const UNIT: &str = "org.freedesktop.systemd1.Unit";
/// The interface of services.
pub(super) const SERVICE: &str = "org.freedesktop.systemd1.Service";

/// The answer to `GetAll`: values by property.
pub(super) type Properties = HashMap<String, OwnedVariant>;

/// The object path of a unit: bytes other than letters and digits become `_xx`, as does a leading
/// digit (`bus_label_escape` in systemd).
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

/// The unit whose object path this is; `None` for other objects.
pub(super) fn unit_at(path: &str) -> Option<String> {
    let escaped = path.strip_prefix(UNIT_PATHS)?.strip_prefix('/')?;
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'_' {
            let code = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(code, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

fn text(properties: &Properties, name: &str) -> Option<String> {
    String::try_from(properties.get(name)?.clone()).ok()
}

fn number(properties: &Properties, name: &str) -> Option<u32> {
    u32::try_from(properties.get(name)?.clone()).ok()
}

/// When a timer elapses next by the wall clock, in microseconds.
pub(super) fn next_elapse(properties: &Properties) -> Option<u64> {
    let next = u64::try_from(properties.get("NextElapseUSecRealtime")?.clone()).ok()?;
    (next != 0 && next != u64::MAX).then_some(next)
}

/// An entry of the answer to `ListUnitsByPatterns`: name, description, load state, active state,
/// sub-state, followed unit, object path, job id, job type, job path.
pub(super) type ListedUnit =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// Reads one unit of the list.
pub(super) fn listed((name, _, _, active, _, _, _, id, _, _): ListedUnit) -> UnitStatus {
    UnitStatus {
        instance: instance_of(&name).unwrap_or_default().to_owned(),
        name,
        active: active.into(),
        has_job: id != 0,
    }
}

/// Reads a unit's properties.
pub(super) fn detail_of(name: &str, found: &Properties) -> UnitDetail {
    let job = found.get("Job").and_then(|job| <(u32, OwnedObjectPath)>::try_from(job.clone()).ok());
    let word = |name| text(found, name).unwrap_or_default();
    UnitDetail {
        status: UnitStatus {
            instance: instance_of(name).unwrap_or_default().to_owned(),
            name: name.to_owned(),
            active: word("ActiveState").into(),
            has_job: job.is_some_and(|(id, _)| id != 0),
        },
        enabled: word("UnitFileState").into(),
        restarts: number(found, "NRestarts").unwrap_or_default(),
        result: word("Result").into(),
        status_text: word("StatusText"),
        main_pid: number(found, "MainPID").filter(|pid| *pid != 0),
        exit_status: found
            .get("ExecMainStatus")
            .and_then(|status| i32::try_from(status.clone()).ok())
            .unwrap_or_default(),
        cgroup: word("ControlGroup"),
    }
}

/// Reads a `PropertiesChanged` signal; `None` unless it is about a session's unit that is `watched`.
pub(super) fn change_of(
    message: &zbus::Message,
    watched: impl Fn(&str) -> bool,
) -> Option<UnitChange> {
    let unit = unit_at(message.header().path()?.as_str())?;
    let instance = instance_of(&unit).filter(|instance| watched(instance))?.to_owned();
    let body = message.body();
    let (interface, changed, _) = body.deserialize::<(String, Properties, Vec<String>)>().ok()?;
    let change = match interface.as_str() {
        UNIT => UnitChange {
            instance,
            active: text(&changed, "ActiveState").map(Into::into),
            status_text: None,
        },
        SERVICE => {
            let status_text = text(&changed, "StatusText");
            UnitChange { instance, status_text, ..UnitChange::default() }
        }
        _ => return None,
    };
    let tells = change.active.is_some() || change.status_text.is_some();
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
        for unit in ["samocode@jwt-login--a.b.service", "1a", "ä"] {
            assert_eq!(unit_at(&object_path(unit)).as_deref(), Some(unit));
        }
        let units = "/org/freedesktop/systemd1/unit/";
        for path in ["/org/freedesktop/systemd1/job/1", "_4", "_zz", "_ff", "_ä"] {
            assert_eq!(unit_at(&format!("{units}{path}").replace(&format!("{units}/"), "/")), None);
        }
    }
}

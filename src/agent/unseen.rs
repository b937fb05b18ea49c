//! Compares the variables of a shell with what units have. A unit does not see the shell's, so a
//! session may lack a credential, or send the code to another service than the one used by hand.

use super::environment::of_families;
use crate::config::secret::is_secret;
use crate::config::{Env, EnvFile, Vocabulary};

/// How the variables of a shell differ from those of the units. Names only: values may be secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unseen {
    /// Credentials that only the shell has.
    pub secrets: Vec<String>,
    /// Variables that decide where requests go, and that only the shell has.
    pub routes: Vec<String>,
    /// Variables of either kind that have another value in the env file.
    pub other_in_file: Vec<String>,
    /// The same in the service manager's own environment, which overrides the env file.
    pub other_in_manager: Vec<String>,
}

impl Unseen {
    /// Compares a shell with what the service manager passes to every unit, and the env file.
    #[must_use]
    pub fn of(vocabulary: &Vocabulary, shell: &Env, manager: &Env, file: &EnvFile) -> Self {
        let mut unseen = Self::default();
        for (name, value) in of_families(vocabulary, shell) {
            let is_secret = is_secret(name, value);
            if !is_secret && !vocabulary.decides_route(name) {
                continue;
            }
            let of_manager = manager.text(name);
            let of_file = file.get(name).map(|secret| secret.expose());
            let list = match of_manager.or(of_file) {
                Some(known) if known == value.trim() => continue,
                Some(_) if of_manager.is_some() => &mut unseen.other_in_manager,
                Some(_) => &mut unseen.other_in_file,
                None if is_secret => &mut unseen.secrets,
                None => &mut unseen.routes,
            };
            list.push(name.to_owned());
        }
        unseen
    }

    /// The differences, each with its remedy. `import` is the flag or the command that saves the
    /// shell's values.
    #[must_use]
    pub fn describe(&self, env_file: &str, import: &str) -> Vec<Difference> {
        let mut all = Vec::new();
        let mut add = |names: &[String], what: &str, remedy: String| {
            if !names.is_empty() {
                let agreed = if names.len() == 1 { singular(what) } else { what.to_owned() };
                let remedy = if names.len() == 1 { singular(&remedy) } else { remedy };
                all.push(Difference { what: format!("{} {agreed}", listed(names)), remedy });
            }
        };
        let save = |verb: &str, to: &str| format!("{verb} them {to} {env_file} with {import}");
        add(
            &self.secrets,
            "are set only in this shell, where units do not see them",
            save("save", "to"),
        );
        add(
            &self.routes,
            "decide where an agent sends its requests, but they are set only in this shell, where units do not see them",
            save("save", "to"),
        );
        add(&self.other_in_file, "have another value for units", save("replace", "in"));
        add(
            &self.other_in_manager,
            "have another value in the service manager's environment",
            format!(
                "use this shell's with: systemctl --user import-environment {}",
                self.other_in_manager.join(" ")
            ),
        );
        all
    }
}

/// A sentence about several things, for one.
fn singular(text: &str) -> String {
    let words = text.split(' ').map(|word| match word {
        "are" => "is",
        "have" => "has",
        "decide" => "decides",
        "they" | "them" => "it",
        other => other,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// One difference between a shell and the units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The variables, and how they differ.
    pub what: String,
    /// How to make them equal.
    pub remedy: String,
}

/// `a, b and c`.
fn listed(names: &[String]) -> String {
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::vocabulary;
    use crate::config::file::ConfigFile;
    use std::path::Path;

    fn of(shell: &[(&str, &str)], manager: &[(&str, &str)], file: &str) -> Unseen {
        let file = ConfigFile::parse(Path::new("env"), file.as_bytes()).unwrap();
        let env = |pairs: &[(&str, &str)]| Env::from_iter(pairs.iter().copied());
        Unseen::of(&vocabulary(), &env(shell), &env(manager), &EnvFile::of(&file))
    }

    #[test]
    fn what_decides_where_the_code_goes_is_named() {
        for names in [
            &["AWS_PROFILE", "AWS_REGION", "CLAUDE_CODE_USE_BEDROCK"][..],
            &["ANTHROPIC_BASE_URL", "NODE_EXTRA_CA_CERTS"],
            &["ANTHROPIC_VERTEX_PROJECT_ID", "CLAUDE_CODE_USE_VERTEX", "CLOUD_ML_REGION"],
            &["ANTHROPIC_FOUNDRY_RESOURCE", "AZURE_TENANT_ID", "CLAUDE_CODE_USE_FOUNDRY"],
            &["GOOGLE_APPLICATION_CREDENTIALS", "VERTEX_REGION_CLAUDE_4_6_OPUS"],
            &["HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "https_proxy"],
            &["ANTHROPIC_DEFAULT_OPUS_MODEL", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"],
            &["OPENAI_BASE_URL"],
        ] {
            let shell: Vec<_> = names.iter().map(|name| (*name, "x")).collect();
            assert_eq!(of(&shell, &[], "").routes, names);
        }
    }

    #[test]
    fn what_decides_nothing_is_not() {
        let shell = [
            ("CLAUDE_CODE_DISABLE_TERMINAL_TITLE", "1"),
            ("CLAUDE_CODE_USE_POWERSHELL_TOOL", "1"),
            ("CLAUDE_CODE_SSE_PORT", "1"),
            ("AWS_PAGER", ""),
            ("CLAUDE_CONFIG_DIR", "/c"),
            ("CLAUDE_MODEL", "opus"),
            ("EDITOR", "vi"),
        ];
        assert_eq!(of(&shell, &[], ""), Unseen::default());
    }

    #[test]
    fn what_units_have_is_compared_wherever_they_have_it_from() {
        let shell = [
            ("ANTHROPIC_API_KEY", "new"),
            ("ANTHROPIC_BASE_URL", "http://a"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_PROFILE", "work"),
            ("HTTPS_PROXY", "http://p"),
        ];
        let file = "ANTHROPIC_API_KEY=old\nANTHROPIC_BASE_URL=http://a\nAWS_REGION=eu-west-1\n";
        let manager = [("AWS_REGION", "us-east-1"), ("HTTPS_PROXY", "http://p")];
        let unseen = of(&shell, &manager, file);
        assert_eq!(unseen.other_in_file, ["ANTHROPIC_API_KEY"]);
        assert_eq!(unseen.other_in_manager, ["AWS_REGION"]);
        assert_eq!(unseen.routes, ["AWS_PROFILE"]);
        let told: Vec<String> =
            unseen.describe("~/env", "--import-env").into_iter().map(|it| it.what).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("AWS_PROFILE decides where"), "{told:?}");
        assert!(!format!("{told:?}").contains("old"), "{told:?}");
    }
}

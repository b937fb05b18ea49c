use super::*;
use crate::agent::variable;
use crate::config::{Credentials, Reach, Variables};

const TOY: AgentManifest = AgentManifest {
    name: "toy",
    takes_command: false,
    reach: Reach::Own,
    keys: &[],
    variables: Variables { routes: &["TOY_"], ..Variables::NONE },
    credentials: Credentials {
        base_url: "TOYS",
        hosts: &["api.toys.example", "*.toys.example:8443"],
        ..Credentials::NONE
    },
};

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn network(connect: &str, variables: &[(&str, &str)]) -> Network {
    let environment = environment(variables);
    let service = service(&TOY, &environment);
    Network::of(&Peer::parse_list(connect).unwrap(), service, &environment)
}

#[test]
fn an_agents_own_service_is_let_through_wherever_the_human_put_it() {
    let open = network(
        "none",
        &[
            ("TOYS", "https://gateway.corp.example/v1"),
            ("TOY_REGIONAL_URL", "http://10.0.0.7:4000"),
            ("TOY_MODEL", "large"),
            ("OTHER_URL", "https://elsewhere.example"),
            ("TOY_HTTPS_PROXY", "http://proxy.corp.example:3128"),
        ],
    );
    for (host, port) in [
        ("api.toys.example", 443),
        ("eu.toys.example", 8443),
        ("gateway.corp.example", 443),
        ("10.0.0.7", 4000),
    ] {
        assert!(open.trust(host, port).is_some() && open.is_service(host, port), "{host}:{port}");
    }
    for (host, port) in [
        ("gateway.corp.example", 80),
        ("elsewhere.example", 443),
        ("large", 443),
        ("10.0.0.7", 22),
        ("proxy.corp.example", 3128),
    ] {
        assert_eq!(open.trust(host, port), None, "{host}:{port}");
    }
}

#[test]
fn ports_of_this_machine_that_somebody_named_lead_to_it() {
    let local =
        network("localhost:5432, [::1]:5432, 4000", &[("TOYS", "http://127.0.0.1:3128/v1")]);
    assert_eq!(local.listeners(), [3129, 3128, 5432]);
    assert_eq!(network("registries", &[]).listeners(), [3128]);
}

#[test]
fn programs_are_pointed_to_the_proxy_and_not_past_it() {
    let before = [
        ("HTTPS_PROXY", "http://bob:secret@corp:1"),
        ("TOY_HTTPS_PROXY", "http://bob:secret@corp:1"),
        ("no_proxy", "*"),
        ("HOME", "/h"),
    ];
    let network = network("registries", &before);
    let mut environment = environment(&before);
    network.redirect(&mut environment);
    let value = |name| variable(&environment, name).unwrap().to_str().unwrap();
    for name in VARIABLES.into_iter().chain(["TOY_HTTPS_PROXY"]) {
        assert_eq!(value(name), "http://127.0.0.1:3128");
    }
    assert_eq!(
        (value("no_proxy"), value("NO_PROXY")),
        ("localhost,127.0.0.1,::1", value("no_proxy"))
    );
    assert_eq!((value("HOME"), value(OF_NODE)), ("/h", "1"));
    assert!(!format!("{environment:?}{network:?}").contains("secret"));
}

#[test]
fn what_works_for_an_agent_outside_uses_the_humans_proxies() {
    let mut environment = environment(&[("HOME", "/h"), ("HTTPS_PROXY", "http://corp:1")]);
    network("registries", &[]).redirect(&mut environment);
    let mut own = Env::default();
    own.set("HTTPS_PROXY", "http://corp:1");
    own.set("SECRET", "s");
    let found: Vec<_> = outside(&environment, &own).collect();
    let of = |wanted: &str| -> Vec<_> {
        found.iter().filter(|(name, _)| *name == wanted).map(|(_, value)| *value).collect()
    };
    assert_eq!(
        (of("HTTPS_PROXY"), of("HOME")),
        (vec![OsStr::new("http://corp:1")], vec![OsStr::new("/h")])
    );
    for gone in ["https_proxy", "no_proxy", "SECRET"] {
        assert!(of(gone).is_empty(), "{gone}");
    }
}

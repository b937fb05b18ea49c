//! The scripted Messages API as a program, to try things by hand.
//!
//! `cargo run --example scripted-api -- [--port N] [--mode MODE]`, MODE being
//! `obedient` (every phase of a samocode session as it should go), `silent`,
//! `pings`, `limit` (a usage limit that is over in an hour) or an HTTP status.
//! Prints the environment a client needs, then one line a request.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    dead_code,
    reason = "a program for tests, which uses part of their server"
)]

#[path = "mod.rs"]
mod api;

use std::time::{Duration, SystemTime};

use api::{Api, Reply, Request, Script};

fn main() {
    let mut port = 0;
    let mut mode = "obedient".to_string();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.next()) {
            ("--port", Some(value)) => port = value.parse().unwrap_or_else(|_| usage()),
            ("--mode", Some(value)) => mode = value,
            _ => usage(),
        }
    }
    let mut answer = script(&mode).into_answer();
    let logged = move |request: &Request| {
        let phase = request.phase().unwrap_or("-");
        let results = request.tool_results().len();
        eprintln!("{} phase {phase}, {results} tool results", request.model());
        answer(request)
    };
    let api = Api::listen(port, logged).unwrap_or_else(|e| {
        eprintln!("127.0.0.1:{port}: {e}");
        std::process::exit(1);
    });
    for (name, value) in api.environment() {
        println!("{name}={value}");
    }
    loop {
        std::thread::park();
    }
}

fn script(mode: &str) -> Script {
    match mode {
        "obedient" => Script::obedient(),
        "silent" => Script::new().reply(Reply::silent()).forever(),
        "pings" => Script::new().reply(Reply::pings()).forever(),
        "limit" => {
            let in_an_hour = SystemTime::now() + Duration::from_secs(3600);
            let epoch = in_an_hour.duration_since(SystemTime::UNIX_EPOCH).unwrap();
            Script::new().reply(Reply::usage_limit(epoch.as_secs())).forever()
        }
        status => {
            let status = status.parse().unwrap_or_else(|_| usage());
            Script::new().reply(Reply::error(status)).forever()
        }
    }
}

fn usage() -> ! {
    eprintln!("usage: scripted-api [--port N] [--mode obedient|silent|pings|limit|STATUS]");
    std::process::exit(2);
}

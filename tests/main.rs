//! The integration tests: one binary, one module a subject.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail the test by panicking"
)]

mod agent_path;
mod agents;
mod at_the_prompt;
mod attach;
mod awake;
mod bot;
mod browser;
mod budgets;
mod caged;
mod channels;
mod cli_protocol;
mod clock;
mod completions;
mod confined;
mod control;
mod convoys;
mod coordinators;
mod crash;
mod credentials;
mod demo;
mod desktop;
mod doctor;
mod documents;
mod escape;
mod exhausted;
mod faults;
mod fleet;
mod fuzzing;
mod handoffs;
mod hostile;
mod install;
mod lab;
mod lab_works;
mod launchd;
mod layers;
mod limits;
mod logging;
mod logins;
mod machine;
mod mail;
mod mcp;
mod mistakes;
mod new_user;
mod notify_quiet;
mod notify_setup;
mod notify_test;
mod outcomes;
mod output;
mod package;
mod phases;
mod power;
mod predecessor;
mod prompts;
mod queue;
mod quota;
mod records;
mod resume;
mod reviews;
mod run_script;
mod scripted_api;
mod secrets;
mod service;
mod session;
mod setting_up;
mod signals;
mod six_sessions;
mod skills;
mod smtp;
mod stalls;
mod stopping;
mod strict;
mod system_scope;
mod timers;
mod top;
mod two_versions;
mod upgrade;
mod view;
mod web;
mod whereabouts;
mod worktrees;

//! What agents are told: the same first bytes from run to run, and `samocode prompt` says exactly
//! what the model gets.

use serde_json::Value;

use crate::lab::api::Request;
use crate::lab::{self, Api, Script, secs};

/// A run that stays in its phase.
const STAYS: &str = r#"f=$SAMOCODE_SESSION_DIR/_signal.json
printf '{"status":"continue","summary":"More to do"}' >"$f.tmp" && mv "$f.tmp" "$f""#;

/// The first request of each run.
fn runs(api: &Api) -> Vec<Request> {
    let all = api.requests().into_iter();
    all.filter(|request| request.tool_results().is_empty()).collect()
}

/// The text of the parts, from the first to the last that `is_wanted`.
fn text(prompted: &Value, is_wanted: impl Fn(&str) -> bool) -> String {
    let parts = prompted["parts"].as_array().unwrap().iter();
    let wanted = parts.filter(|part| is_wanted(part["name"].as_str().unwrap()));
    wanted.map(|part| part["text"].as_str().unwrap()).collect()
}

/// Without the values that are made when a run starts.
fn settled(prompt: &str) -> String {
    let is_new = |line: &str| ["RUN: ", "TIMESTAMP_"].iter().any(|name| line.starts_with(name));
    prompt.lines().filter(|line| !is_new(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_fixed_part_comes_first_and_prompt_says_what_the_model_gets() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user_without_manager("prompted");
    let staying = Script::new().phase("investigation").bash(STAYS).say("More to do.").into_answer();
    let mut staying = Some(staying);
    let mut obedient = Script::obedient().into_answer();
    let mut served = 0;
    let api = Api::start_with(move |request| {
        served += 1;
        match &mut staying {
            Some(stays) if served <= 2 => stays(request),
            _ => obedient(request),
        }
    });
    user.uses_claude(&api);
    let project = user.project("shop").create();
    let samocode = |words: &[&str]| user.samocode(words).cwd(&project.dir).within(secs(120));

    let out = samocode(&["run", "jwt", "--task", "JWT login"]).output();
    assert_eq!(out.code, 10, "{out}\n{}", user.diagnosis());
    let all = runs(&api);
    let [first, second, third] = &all[..] else { panic!("{} runs", all.len()) };
    // Tools and system prompt are what a provider caches, in this order.
    assert_eq!(first.body["tools"], second.body["tools"]);
    assert_eq!(first.body["system"], second.body["system"]);
    assert_ne!(first.prompt(), second.prompt());
    // The next phase shares all but its role.
    let told: Value = samocode(&["prompt", "jwt", "--json"]).ok().json();
    let workflow = text(&told, |name| name == "workflow.md");
    let (of_first, of_third) = (first.system(), third.system());
    let shared = of_first.bytes().zip(of_third.bytes()).take_while(|(a, b)| a == b).count();
    let end = of_first.find(&workflow).expect("the workflow") + workflow.len();
    assert!(shared >= end, "{shared} of {end} bytes");

    // The last run, word for word.
    let prompt = text(&told, |name| !name.ends_with(".md"));
    assert!(third.prompt().contains(prompt.trim_end()), "{prompt}\n---\n{}", third.prompt());
    assert!(third.system().contains(&text(&told, |name| name.starts_with("agents/"))));
    assert_eq!(told["run"].as_str().map(str::len), Some(36), "{told}");

    // The next one, with the answer that no worker has read yet.
    let out = samocode(&["answer", "jwt", "--accept-suggestions"]).output();
    assert_eq!(out.code, 0, "{out}");
    let next: Value = samocode(&["prompt", "jwt", "--next", "--json"]).ok().json();
    assert_eq!(next["run"], Value::Null);
    let out = samocode(&["run", "jwt"]).output();
    assert_eq!(out.code, 10, "{out}");
    let prompt = settled(&text(&next, |name| !name.ends_with(".md")));
    let came = settled(&runs(&api)[3].prompt());
    assert!(prompt.contains("GATE: open") && prompt.contains("## Mail"), "{prompt}");
    assert!(came.contains(prompt.trim_end()), "{prompt}\n--- and what came:\n{came}");

    let out = samocode(&["prompt", "jwt"]).ok();
    assert!(out.stdout.contains("workflow.md") && out.stdout.contains("built in"), "{out}");
    user.write(project.dir.join(".samocode.d/workflow.md"), "Our own way.\n");
    let out = samocode(&["config", "jwt"]).ok();
    assert!(out.stdout.contains("workflow.md is replaced by "), "{out}");
}

//! The trivial agent: writes a signal and exits. Options make it do one thing more.
//!
//! ```text
//! bench-agent LAST [stream=BYTES] [line=BYTES] [note=FILE]
//! ```
//!
//! `LAST` is the iteration that ends the session with a signal `blocked`; those before say
//! `continue`. `stream=` prints so many bytes of JSON lines like Claude Code's in iteration
//! LAST - 1, `line=` one line that long after them. `note=` appends a line to a file: the time the program
//! started, the highest memory of its parent so far in KiB, the seconds that printing took.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

fn main() -> io::Result<()> {
    let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let (mut last, mut bytes, mut long, mut note) = (1, 0, 0, None);
    for arg in std::env::args().skip(1) {
        if let Some(value) = arg.strip_prefix("stream=") {
            bytes = value.parse().map_err(io::Error::other)?;
        } else if let Some(value) = arg.strip_prefix("line=") {
            long = value.parse().map_err(io::Error::other)?;
        } else if let Some(value) = arg.strip_prefix("note=") {
            note = Some(PathBuf::from(value));
        } else if let Ok(value) = arg.parse() {
            last = value;
        }
    }
    let variable = |name| std::env::var(name).map_err(io::Error::other);
    let iteration: u32 = variable("SAMOCODE_ITERATION")?.parse().map_err(io::Error::other)?;
    let seconds = if iteration + 1 == last { stream(bytes, long)? } else { 0.0 };
    // With the same summary each time it would be taken for an agent that runs in circles.
    let continues = format!(r#"{{"status":"continue","summary":"after {iteration}"}}"#);
    let signal = if iteration >= last {
        r#"{"status":"blocked","reason":"the bench ends here","needs":"human_decision"}"#
    } else {
        continues.as_str()
    };
    fs::write(PathBuf::from(variable("SAMOCODE_SESSION_DIR")?).join("_signal.json"), signal)?;
    if let Some(note) = note {
        let line = format!("{began} {} {seconds}\n", peak_of_parent());
        OpenOptions::new().create(true).append(true).open(note)?.write_all(line.as_bytes())?;
    }
    Ok(())
}

/// The parent's `VmHWM`, in KiB (proc_pid_status(5)).
fn peak_of_parent() -> u64 {
    let status =
        fs::read_to_string(format!("/proc/{}/status", std::os::unix::process::parent_id()));
    status
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or(0)
}

/// Prints lines until `bytes` are out, one write a line as Claude Code does, then one of `long`
/// bytes; returns the seconds.
fn stream(bytes: u64, long: u64) -> io::Result<f64> {
    let lines = lines();
    let mut out = io::stdout().lock();
    let (begin, mut left) = (Instant::now(), bytes);
    for line in lines.iter().cycle() {
        if left == 0 {
            break;
        }
        // Through the line writer of stdout, a line that ends in a line feed is one write.
        out.write_all(line)?;
        left = left.saturating_sub(line.len() as u64);
    }
    if long > 0 {
        io::copy(&mut io::repeat(b'x').take(long), &mut out)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(begin.elapsed().as_secs_f64())
}

/// Lines of 1 to 19 KB: what tools gave back, what the agent wrote, pieces of a reply.
fn lines() -> Vec<Vec<u8>> {
    const USAGE: &str = r#""usage":{"input_tokens":4,"cache_creation_input_tokens":900,"cache_read_input_tokens":41000,"output_tokens":310,"service_tier":"standard"}"#;
    const IDS: &str = r#""parent_tool_use_id":null,"session_id":"00000000-0000-4000-8000-000000000001","uuid":"00000000-0000-4000-8000-000000000002"}"#;
    const WORDS: &str = r#"fn answer(question: &str) -> Option<u32> {\n    // A line of \"code\", as files are full of it.\n    question.parse().ok()\n}\n\n"#;
    (0..64_usize)
        .map(|at| {
            let text = WORDS.repeat((1_000 + (at * 5_171) % 18_000 - 600) / WORDS.len());
            let id = at / 2;
            let mut line = match at % 4 {
                0 => format!(
                    r#"{{"type":"assistant","message":{{"model":"claude-opus-4-1","id":"msg_{id}","type":"message","role":"assistant","content":[{{"type":"tool_use","id":"toolu_{id}","name":"Write","input":{{"file_path":"/home/u/shop/src/a{id}.rs","content":"{text}"}}}}],"stop_reason":null,{USAGE}}},{IDS}"#
                ),
                2 => format!(
                    r#"{{"type":"assistant","message":{{"model":"claude-opus-4-1","id":"msg_{id}","type":"message","role":"assistant","content":[{{"type":"text","text":"{text}"}}],"stop_reason":null,{USAGE}}},{IDS}"#
                ),
                _ => format!(
                    r#"{{"type":"user","message":{{"role":"user","content":[{{"tool_use_id":"toolu_{id}","type":"tool_result","content":"{text}"}}]}},{IDS}"#
                ),
            };
            line.push('\n');
            line.into_bytes()
        })
        .collect()
}

//! The texts that the rehearsal writes.

/// A step of the plan: one file, one commit.
pub(super) struct Step {
    /// Its title, which is also the commit's message.
    pub(super) title: &'static str,
    /// The file that the step adds.
    pub(super) file: &'static str,
    /// The content of the file.
    pub(super) text: &'static str,
}

pub(super) const STEPS: [Step; 3] = [
    Step {
        title: "Add a program that greets",
        file: "greet.sh",
        text: "#!/bin/sh\n# Greets the name given, or the world.\nprintf 'Hello, %s.\\n' \"${1:-world}\"\n",
    },
    Step {
        title: "Describe how to use the greeting",
        file: "README.md",
        text: "# A greeting\n\n    sh greet.sh         greets the world\n    sh greet.sh moon    greets the moon\n\n`sh test.sh` tests it.\n",
    },
    Step {
        title: "Test the greeting",
        file: "test.sh",
        text: "#!/bin/sh\nset -eu\ncd \"$(dirname \"$0\")\"\ntest \"$(sh greet.sh)\" = 'Hello, world.'\ntest \"$(sh greet.sh moon)\" = 'Hello, moon.'\necho '2 tests passed'\n",
    },
];

/// The two questions of a pass, numbered from `first`.
pub(super) fn questions(first: usize) -> String {
    format!(
        "### Q{first}: Which language should the greeting be written in?
A) Shell: every machine has it
B) The project's own language
**Suggestion:** A - there is nothing to build, and this is only a rehearsal
**Answer:** _waiting_

### Q{}: Whom should it greet when no name is given?
A) The world
B) Nobody: print how to use it
**Suggestion:** A - that is what people expect
**Answer:** _waiting_
",
        first + 1
    )
}

/// The plan of a pass that writes below `folder`.
pub(super) fn plan(folder: &str) -> String {
    let mut text =
        "# Plan: a greeting\n\nThree small steps, one commit each.\n\n## Steps\n\n".to_owned();
    for step in &STEPS {
        text.push_str(&format!("- [ ] {}: `{folder}/{}`\n", step.title, step.file));
    }
    text.push_str("\n## Test\n\nRun `test.sh` in the same folder.\n");
    text
}

//! Replies in an order, for all requests or for those that match.

use super::{Reply, Request};

type Matches = Box<dyn Fn(&Request) -> bool + Send>;

/// The server's answers: parts, each with a condition and steps. A request
/// takes the next step of the first part that matches it and has steps left.
/// A part's steps are shared by all conversations, so that one killed in the middle resumes
/// where it was, and an error is not repeated on the retry.
pub(crate) struct Script {
    parts: Vec<Part>,
}

struct Part {
    matches: Matches,
    steps: Vec<Reply>,
    next: usize,
    again: bool,
}

/// A whole session for an agent that does what samocode asks of it, by looking
/// at the variables that samocode gives its agents.
const OBEDIENT: &str = include_str!("obedient.sh");

impl Script {
    /// Begins with a part for every request.
    pub(crate) fn new() -> Self {
        Self { parts: Vec::new() }.otherwise()
    }

    /// Every run of every phase is done as samocode wants it, both gates
    /// included: one Bash call a run.
    pub(crate) fn obedient() -> Self {
        Self::new().bash(OBEDIENT).say("The phase is finished.").forever()
    }

    /// Begins a part for requests that match.
    pub(crate) fn when(mut self, matches: impl Fn(&Request) -> bool + Send + 'static) -> Self {
        self.parts.push(Part {
            matches: Box::new(matches),
            steps: Vec::new(),
            next: 0,
            again: false,
        });
        self
    }

    /// Begins a part for one of samocode's phases, see [`Request::phase`].
    pub(crate) fn phase(self, phase: &'static str) -> Self {
        self.when(move |request| request.phase() == Some(phase))
    }

    /// Begins a part for every request. Parts are tried in their order.
    pub(crate) fn otherwise(self) -> Self {
        self.when(|_| true)
    }

    /// The part starts over after its last step.
    pub(crate) fn forever(mut self) -> Self {
        self.part().again = true;
        self
    }

    /// Adds a step.
    pub(crate) fn reply(mut self, reply: Reply) -> Self {
        self.part().steps.push(reply);
        self
    }

    /// Adds text, which ends the model's turn.
    pub(crate) fn say(self, text: &str) -> Self {
        self.reply(Reply::say(text))
    }

    /// Adds a line of shell that the agent is to run.
    pub(crate) fn bash(self, line: &str) -> Self {
        self.reply(Reply::bash(line))
    }

    /// Adds a file that the agent is to write.
    pub(crate) fn write(self, path: &str, text: &str) -> Self {
        self.reply(Reply::write(path, text))
    }

    fn part(&mut self) -> &mut Part {
        self.parts.last_mut().expect("a script begins with a part")
    }

    pub(crate) fn into_answer(mut self) -> impl FnMut(&Request) -> Reply + Send + 'static {
        move |request| {
            self.parts
                .iter_mut()
                .find_map(|part| part.take(request))
                .unwrap_or_else(|| Reply::say("The script has nothing more to say."))
        }
    }
}

impl Part {
    fn take(&mut self, request: &Request) -> Option<Reply> {
        if !(self.matches)(request) {
            return None;
        }
        if self.again && self.next == self.steps.len() {
            self.next = 0;
        }
        let step = self.steps.get(self.next)?.clone();
        self.next += 1;
        Some(step)
    }
}

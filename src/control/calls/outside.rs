//! Performing a confined agent's call, outside of its cage.

use futures_util::StreamExt as _;

use crate::agent::confine::calls::{CALLS, Calls, Taken};
use crate::control::context::{Answer, Caller};
use crate::control::error::{Attempt as _, Error, Result};
use crate::control::host::{Host as _, Local};
use crate::control::log::{Line, Log};
use crate::control::origin::Origin;
use crate::service::{Scope, quiet};

use super::{Asked, Told, What, work};

/// The most of a log that one reply has, in bytes as they are sent.
const MOST_LOG: usize = 32 << 20;

/// A call that was taken out of the folder of calls.
pub struct Outside {
    caller: Caller,
    calls: Calls,
    id: String,
}

impl Outside {
    /// Takes the call of a confined agent; `coordinates` says whether its session coordinated others when
    /// its run began. Whoever made it waits for as long as the second value says. `None` if it is no call:
    /// that is its reply.
    ///
    /// # Errors
    /// If the reply cannot be written.
    pub fn take(caller: Caller, id: &str, coordinates: bool) -> Result<Option<(Self, Taken)>> {
        let folder = caller.env.get(CALLS);
        let folder = folder.ok_or_else(|| Error::usage(format!("{CALLS} names no folder")))?;
        let calls = Calls::at(folder);
        let caller = Caller { origin: Origin::Confined { coordinates }, ..caller };
        let call = Self { caller, calls, id: id.to_owned() };
        match call.calls.take(id).attempt(|| "read the call".to_owned()) {
            Ok(taken) => Ok(Some((call, taken))),
            Err(error) => call.tell(&refusal(error)).map(|()| None),
        }
    }

    /// Performs it, and replies.
    ///
    /// # Errors
    /// If the reply cannot be written.
    pub async fn perform(self, bytes: &[u8]) -> Result<()> {
        let told = match serde_json::from_slice::<Asked>(bytes) {
            Ok(asked) => self.told(asked).await,
            Err(error) => refusal(Error::usage(format!("the call cannot be read: {error}"))),
        };
        self.tell(&told)
    }

    async fn told(&self, Asked { system, bundle, what }: Asked) -> Told {
        let scope = if system { Scope::System } else { Scope::User };
        if let Some(bundle) = bundle
            && let Err(error) = work::take_over(&self.caller, &self.calls, &bundle).await
        {
            return refusal(error);
        }
        let host = Local::new(Caller { scope, ..self.caller.clone() });
        match what {
            What::Request(request) => Told::Reply(Box::new(host.request(*request, &quiet).await)),
            What::Log(log) => Told::Log(lines(&host, log).await),
        }
    }

    fn tell(&self, told: &Told) -> Result<()> {
        let bytes = serde_json::to_vec(told)?;
        self.calls.reply(&self.id, &bytes).attempt(|| "reply to the call".to_owned())
    }
}

fn refusal(error: Error) -> Told {
    Told::Reply(Box::new(Answer { result: Err(error), warnings: Vec::new() }))
}

/// All lines of a log that does not follow.
async fn lines(host: &Local, log: Log) -> Result<Vec<Result<Line>>> {
    let (mut all, mut size) = (Vec::new(), 0);
    let mut lines = host.log(log).await?;
    while let Some(line) = lines.next().await {
        size += serde_json::to_vec(&line).map_or(0, |bytes| bytes.len());
        if size > MOST_LOG {
            let short = Error::refused("the rest of the log is too long to be handed into a cage");
            all.push(Err(short.hint("ask for less of it, with -n LINES, --since or --phase")));
            break;
        }
        all.push(line);
    }
    Ok(all)
}

//! Desktop notices with buttons: shows them, and does what a press on one means.

use crate::config::Dirs;
use crate::control::origin::Origin;
use crate::control::press::Press;
use crate::control::{Caller, Error, Local, Result, call};
use crate::notify::desktop::{self, Waiting};
use crate::service::quiet;

/// What stands for the reason that a button cannot ask for.
const REASON: &str = "It was rejected by a button on a desktop, without a reason. Ask what should be \
    different before you plan again.";

/// Shows the notices that wait, until all are closed.
///
/// # Errors
/// Where there is no desktop.
pub async fn listen(caller: Caller) -> Result<()> {
    let waiting = Waiting::of(&Dirs::user(&caller.env)?.state);
    let user = caller.env.text("USER").unwrap_or("someone");
    let origin = Origin::Outside(format!("{user} by a button of a desktop notice"));
    let caller = Caller { origin, ..caller };
    let runtime_dir = caller.env.text("XDG_RUNTIME_DIR").map(Into::into);
    let act = |button: crate::notify::buttons::Press| {
        let host = Local::new(caller.clone());
        let press = Press { reason: REASON.to_owned(), ..Press::on(&button) };
        async move {
            let pressed = call(&host, press, &quiet).await.result;
            pressed.map_or_else(|error| error.in_one_line(), |pressed| pressed.said)
        }
    };
    let end = desktop::listen(runtime_dir, &waiting, act).await;
    end.map_err(|error| Error::unavailable(error.to_string()))
}

//! The unit of the bot that answers from the phone.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::service::{FrontEnd, Scope, ServiceManager, Shared, Spool};

use super::context::manager;
use super::error::{Error, Result};
use super::notify::bot_account;
use super::operation::{Operation, Perform};

/// Runs the bot, now and at boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Install {}

/// Runs the bot no longer, now or at boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {}

/// The unit that runs the bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its name.
    pub unit: String,
    /// Whether it is up.
    pub is_up: bool,
}

#[async_trait]
impl Perform for Install {
    async fn perform(self, on: &Operation<'_>) -> Result<Kept> {
        check_caller(on)?;
        // Without one it would start and end again and again.
        bot_account(on.caller)?;
        let manager = manager(on.caller.scope).await?;
        let spool = Spool::of(on.caller.scope)?;
        spool.create(on.caller.scope)?;
        manager.open_bot(Shared { binary: &on.caller.binary, spool: spool.dir() }).await?;
        kept(manager.as_ref()).await
    }
}

#[async_trait]
impl Perform for Remove {
    async fn perform(self, on: &Operation<'_>) -> Result<Kept> {
        check_caller(on)?;
        let manager = manager(on.caller.scope).await?;
        manager.close(FrontEnd::Bot).await?;
        kept(manager.as_ref()).await
    }
}

fn check_caller(on: &Operation<'_>) -> Result<()> {
    if on.caller.voucher().is_none() {
        return Err(Error::refused("an agent in a run cannot install or remove the bot")
            .hint("gates are for a human to open: write a waiting signal"));
    }
    if on.caller.scope == Scope::System {
        return Err(Error::usage("the bot is for one user's sessions, not for the system's")
            .hint("as the user: samocode bot --install"));
    }
    Ok(())
}

/// What the manager says of the unit now.
async fn kept(manager: &dyn ServiceManager) -> Result<Kept> {
    let status = manager.front_end(FrontEnd::Bot).await?.status;
    Ok(Kept { unit: status.name, is_up: status.active.is_up() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::host::tests::caller;
    use crate::control::origin::Origin;
    use crate::control::{Caller, Class, Local, call};
    use crate::service::quiet;

    #[tokio::test]
    async fn the_bot_needs_an_account_a_human_and_a_users_manager() {
        let root = tempfile::tempdir().unwrap();
        let human = caller(root.path());
        let install = |caller: Caller| async {
            call(&Local::new(caller), Install {}, &quiet).await.result.unwrap_err()
        };
        let error = install(human.clone()).await;
        assert!(error.message.contains("no Telegram bot"), "{error:?}");
        assert!(error.hint.unwrap().contains("TELEGRAM_BOT_TOKEN"));
        let error = install(Caller { scope: Scope::System, ..human.clone() }).await;
        assert_eq!(error.class, Class::Usage, "{error:?}");
        let error = install(Caller { origin: Origin::Run, ..human }).await;
        assert_eq!(error.class, Class::Refused, "{error:?}");
    }
}

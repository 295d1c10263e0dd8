use std::io;
use std::path::Path;

use undertone_protocol::crypto::Vodozemac;
use undertone_protocol::keys::RecoveryPhrase;
use undertone_protocol::time::Clock;

use super::{NodeError, SystemClock, fresh_rng};
use crate::account;
use crate::engine::{self, NewAccount, SetupError};
use crate::store::{NodeStore, SqliteStore};

/// Makes an account in the directory `home`: identity, device, encrypted database.
///
/// `show` gets the recovery phrase of a new user, which is kept nowhere. The account is complete only when `show` has
/// succeeded: nobody has an account whose phrase they never saw. Takes about half a second and 64 MiB.
pub fn create_account(
    home: &Path,
    passphrase: &str,
    new: NewAccount,
    show: impl FnOnce(&RecoveryPhrase) -> io::Result<()>,
) -> Result<(), NodeError> {
    let mut rng = fresh_rng()?;
    let creation = account::create(home, passphrase, &mut rng)?;
    let mut store = SqliteStore::open(&creation.database_path(), creation.key())?;
    let now = SystemClock.now();
    let mut made = None;
    store.transaction(|tx| match engine::create_account(tx, &mut Vodozemac, &mut rng, new, now) {
        Err(SetupError::Store(error)) => Err(error),
        other => {
            made = Some(other);
            Ok(())
        }
    })?;
    if let Some(phrase) = made.transpose()?.flatten() {
        show(&phrase).map_err(NodeError::Show)?;
    }
    drop(store);
    creation.finish()?;
    Ok(())
}

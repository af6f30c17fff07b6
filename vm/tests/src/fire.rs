//! What the tests under fire (`fire_*`) have in common: random numbers that can be
//! had again, and how much of everything.

use std::time::SystemTime;
use std::{env, fs};

use fastrand::Rng;

pub mod asker;
pub mod coverage;
pub mod mutate;
pub mod netlink;
pub mod packets;
pub mod program;
pub mod requests;
pub mod tally;

/// Random numbers from `ICMPTAP_SEED` (`vm-test --seed`), or else of this moment.
/// The seed is printed, so that what was found can be found again.
pub fn random() -> Rng {
    let seed = variable("ICMPTAP_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.expect("later than 1970").as_nanos() as u64
    });
    println!("measured: --seed {seed}");
    Rng::with_seed(seed)
}

/// How often, from `ICMPTAP_ITERATIONS` (`vm-test --iterations`), or else `usually`; with
/// `ICMPTAP_LONG` (`--long`) as often as `long` says.
pub fn iterations(usually: u64, long: u64) -> u64 {
    let is_long = variable("ICMPTAP_LONG").is_some();
    variable("ICMPTAP_ITERATIONS").unwrap_or(if is_long { long } else { usually })
}

/// While this lives, the end of a subscription waits for less than a few ticks: for
/// an expedited grace period, which is one all the same.
pub struct QuickGracePeriods(());

const EXPEDITED: &str = "/sys/kernel/rcu_expedited";

/// See [`QuickGracePeriods`].
pub fn quick_grace_periods() -> QuickGracePeriods {
    fs::write(EXPEDITED, "1").unwrap_or_else(|error| panic!("{EXPEDITED}: {error}"));
    QuickGracePeriods(())
}

impl Drop for QuickGracePeriods {
    fn drop(&mut self) {
        // No panic within a panic.
        let _ = fs::write(EXPEDITED, "0");
    }
}

fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|error| panic!("{name}={text}: {error}")),
    )
}

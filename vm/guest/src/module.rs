//! Loading and unloading icmptap.ko and icmptap_imp2.ko.

use std::ffi::CString;
use std::fs::File;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use icmptap_guest::{IMP2_PARAMETER, MODULES};
use rustix::io::Errno;
use rustix::system::{delete_module, finit_module};

/// Loads the modules with these parameters.
pub(crate) fn load(parameters: &[String]) -> Result<()> {
    let [icmptap, imp2] = MODULES;
    let [own, others] = divided(parameters);
    load_one(icmptap, &own)?;
    if Path::new(imp2).exists() {
        return load_one(imp2, &others);
    }
    ensure!(
        others.is_empty(),
        "there is no {imp2} to take the parameters \"{others}\""
    );
    Ok(())
}

/// The first module's parameters, and the second one's.
fn divided(parameters: &[String]) -> [String; 2] {
    let (others, own): (Vec<_>, Vec<_>) = parameters
        .iter()
        .map(|parameter| match parameter.strip_prefix(IMP2_PARAMETER) {
            Some(rest) => (true, rest),
            None => (false, parameter.as_str()),
        })
        .partition(|(is_others, _)| *is_others);
    let words = |parameters: Vec<(bool, &str)>| {
        let words: Vec<_> = parameters.into_iter().map(|(_, word)| word).collect();
        words.join(" ")
    };
    [words(own), words(others)]
}

fn load_one(module: &str, words: &str) -> Result<()> {
    let file = File::open(module).with_context(|| format!("open {module}"))?;
    finit_module(&file, &CString::new(words)?, 0).with_context(|| {
        format!("load {module} with parameters \"{words}\" (the console log has the reason)")
    })
}

/// Unloads the modules, if the job has not done so itself, the last one first.
pub(crate) fn unload() -> Result<()> {
    for module in MODULES.iter().rev() {
        let name = Path::new(module).file_stem().unwrap_or_default();
        unload_one(&name.to_string_lossy())?;
    }
    Ok(())
}

/// The sockets of those just killed are closed a moment later, so a refusal is
/// taken as one only when it lasts.
fn unload_one(name: &str) -> Result<()> {
    const O_NONBLOCK: i32 = 0o4000;
    let loaded = Path::new("/sys/module").join(name);
    let mut tries = 0;
    loop {
        if !loaded.exists() {
            return Ok(());
        }
        match delete_module(&CString::new(name)?, O_NONBLOCK) {
            Err(Errno::WOULDBLOCK | Errno::BUSY) if tries < 100 => {
                tries += 1;
                sleep(Duration::from_millis(20));
            }
            result => return result.with_context(|| format!("unload {name} after the job")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_module_gets_its_own_parameters() {
        let parameters = ["a=1", "imp2.verdict=drop", "b=imp2.c", "imp2.d=2"].map(String::from);
        assert_eq!(divided(&parameters), ["a=1 b=imp2.c", "verdict=drop d=2"]);
        assert_eq!(divided(&[]), ["", ""]);
    }
}

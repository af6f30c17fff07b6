//! How the kernel module gets loaded on this machine, for who finds that it is not.

use std::fs;

/// What to do. `module`: `icmptap` or `icmptap_imp2`.
pub(crate) fn advice(module: &str) -> String {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let index = fs::read_to_string(format!("/lib/modules/{release}/modules.dep"));
    advice_for(module, &release, &index.unwrap_or_default())
}

/// `index`: which modules are installed for the kernel `release`, one a line, with those
/// that it depends on behind a colon.
fn advice_for(module: &str, release: &str, index: &str) -> String {
    let is_installed = index.lines().any(|line| {
        let path = line.split(':').next().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or_default();
        file.split('.').next() == Some(module)
    });
    if is_installed {
        return format!("sudo modprobe {module}");
    }
    format!(
        "it is not installed for this kernel ({release}): on Debian and Ubuntu the package \
         icmptap-dkms builds it where linux-headers-{release} is installed; elsewhere, `cargo \
         xtask build-module --install` in the repository does. Then: sudo modprobe {module}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "kernel/drivers/net/veth.ko:\nupdates/dkms/icmptap.ko.xz:\n";

    #[test]
    fn what_is_installed_is_loaded_by_name_and_what_is_not_is_built() {
        assert_eq!(
            advice_for("icmptap", "6.1.0-50", INDEX),
            "sudo modprobe icmptap"
        );
        for (module, index) in [("icmptap", ""), ("icmptap_imp2", INDEX)] {
            let advice = advice_for(module, "6.1.0-50", index);
            for words in [
                "linux-headers-6.1.0-50 ",
                "`cargo xtask build-module --install`",
                &format!("sudo modprobe {module}"),
            ] {
                assert!(advice.contains(words), "{advice}");
            }
        }
    }
}

//! Where Debian's archive is, seen from this machine.
//!
//! We name no host. The user does (`ICMPTAP_MIRROR`), or the machine does: the apt
//! sources of a Debian system say which mirrors it may use, and on every other system
//! there is debootstrap, which knows a mirror of Debian's.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail, ensure};

use super::deb822;
use xtask_host::setup::{self, Tool};

/// Bases to put before `pool/…` and `dists/…`, in the order to try them. One may
/// hold `{date}`: a snapshot archive's directory for that date.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mirrors(Vec<String>);

impl Mirrors {
    /// What `ICMPTAP_MIRROR` says, else what apt's sources say, else what debootstrap
    /// says, which is installed if it may be.
    pub(crate) fn of_this_machine() -> Result<Mirrors> {
        match Mirrors::named_here()? {
            Ok(mirrors) => Ok(mirrors),
            Err(why_not) => {
                let installed = setup::need(&[Tool::Debootstrap]);
                Mirrors::from_debootstrap(&why_not, installed, Path::new("/"))
            }
        }
    }

    /// What has to be installed before [`Mirrors::of_this_machine`] finds any.
    pub(crate) fn needs() -> Result<&'static [Tool]> {
        Ok(match Mirrors::named_here()? {
            Ok(_) => &[],
            Err(_) => &[Tool::Debootstrap],
        })
    }

    /// What the user or apt's sources say; or why they say nothing.
    fn named_here() -> Result<Result<Mirrors, String>> {
        match std::env::var("ICMPTAP_MIRROR") {
            Ok(list) if !list.trim().is_empty() => Mirrors::from_list(&list).map(Ok),
            _ => Ok(Mirrors::from_apt(Path::new("/"))),
        }
    }

    /// A list separated by whitespace or commas.
    pub(crate) fn from_list(list: &str) -> Result<Mirrors> {
        let bases: Vec<_> = list
            .split([' ', ',', '\t', '\n'])
            .filter(|word| !word.is_empty())
            .collect();
        for base in &bases {
            ensure!(
                is_http(base),
                "ICMPTAP_MIRROR holds {base:?}, which is no http:// or https:// address"
            );
        }
        ensure!(!bases.is_empty(), "ICMPTAP_MIRROR names no mirror");
        Ok(Mirrors::unique(bases.into_iter().map(str::to_owned)))
    }

    /// What the apt sources of the system in `root` say; or why they say nothing.
    fn from_apt(root: &Path) -> Result<Mirrors, String> {
        let lists = root.join("var/lib/apt/lists");
        let mut uris = Vec::new();
        for file in apt_files(&root.join("etc/apt")) {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let sources = match file.extension() {
                Some(extension) if extension == "sources" => parse_deb822(&text),
                _ => parse_one_line(&text),
            };
            uris.extend(
                sources
                    .into_iter()
                    .filter(|source| source.is_debian(&lists))
                    .flat_map(|source| source.uris),
            );
        }
        let bases = expand_mirror_files(&uris, |path| fs::read_to_string(path).ok());
        let (bases, skipped): (Vec<_>, Vec<_>) = bases.into_iter().partition(|uri| is_http(uri));
        if bases.is_empty() {
            return Err(match skipped.first() {
                None => "this machine's apt sources name no Debian mirror".to_owned(),
                Some(uri) => format!("this machine's apt sources name no http mirror (only {uri})"),
            });
        }
        Ok(Mirrors::unique(bases.into_iter()))
    }

    /// The mirror that debootstrap takes for Debian, in the system in `root`, where it
    /// should be `installed` by now. `why_not` says why no better one was found.
    fn from_debootstrap(why_not: &str, installed: Result<()>, root: &Path) -> Result<Mirrors> {
        const SET: &str = "set ICMPTAP_MIRROR to the address of one \
                           (the directory that holds dists/ and pool/)";
        if let Err(error) = installed {
            bail!("{why_not}: {SET}, or install debootstrap, which knows one ({error:#})");
        }
        let texts = DEBOOTSTRAP.map(|file| fs::read_to_string(root.join(file)).unwrap_or_default());
        let base = texts.iter().find_map(|text| default_mirror(text));
        let base = base.ok_or_else(|| anyhow!("{why_not}, and neither does debootstrap: {SET}"))?;
        Ok(Mirrors::unique([base.to_owned()].into_iter()))
    }

    /// Each base once, and last what may lie beside them.
    fn unique(bases: impl Iterator<Item = String>) -> Mirrors {
        let mut bases: Vec<_> = bases
            .map(|base| base.trim_end_matches('/').to_owned())
            .collect();
        bases.extend(bases.clone().iter().filter_map(|base| security(base)));
        let mut seen = Vec::new();
        for base in bases {
            if !seen.contains(&base) {
                seen.push(base);
            }
        }
        Mirrors(seen)
    }

    /// The bases, those of a snapshot archive at this date.
    pub(crate) fn bases(&self, date: &str) -> impl Iterator<Item = String> {
        self.0.iter().map(move |base| base.replace("{date}", date))
    }
}

/// What of debootstrap may name Debian's mirror: its script for Debian, and itself,
/// in one of two directories.
const DEBOOTSTRAP: [&str; 3] = [
    "usr/share/debootstrap/scripts/sid",
    "usr/sbin/debootstrap",
    "usr/bin/debootstrap",
];

/// The mirror that a shell script of debootstrap's takes where its user gives none.
fn default_mirror(script: &str) -> Option<&str> {
    script.lines().find_map(|line| {
        let line = line.trim();
        let value = line
            .strip_prefix("default_mirror ")
            .or_else(|| line.strip_prefix("DEF_MIRROR="))?;
        let base = value.trim().trim_matches(['"', '\'']);
        is_http(base).then_some(base)
    })
}

/// Where a mirror of `…/debian` has the security suites: in `…/debian-security`.
/// apt's sources name both as a rule; who sets `ICMPTAP_MIRROR` need not.
fn security(base: &str) -> Option<String> {
    let mut parts: Vec<_> = base.split('/').collect();
    let part = parts.iter_mut().rfind(|part| **part == "debian")?;
    *part = "debian-security";
    Some(parts.join("/"))
}

/// One entry of apt's sources.
#[derive(Debug, Default, PartialEq)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: Option<String>,
}

impl Source {
    /// Whether this is Debian's own archive, or a mirror of it. Others use its
    /// suite names too, but not its component or its keys; and where they do, apt knows
    /// whose archive it is, from what it has fetched into `lists`.
    fn is_debian(&self, lists: &Path) -> bool {
        let is_debians = |suite: &String| {
            let mut origins = self.uris.iter().filter_map(|uri| origin(lists, uri, suite));
            // Of backports it is `Debian Backports`.
            is_debian_suite(suite) && origins.all(|origin| origin.starts_with("Debian"))
        };
        self.suites.iter().any(is_debians)
            && self.components.iter().any(|component| component == "main")
            && self
                .signed_by
                .as_ref()
                .is_none_or(|keys| keys.contains("debian-archive"))
    }
}

/// Whose archive a suite says it is of, if apt has fetched that.
fn origin(lists: &Path, uri: &str, suite: &str) -> Option<String> {
    let place = uri.split_once("://").map_or(uri, |(_, place)| place);
    let file = format!("{}/dists/{suite}", place.trim_end_matches('/'));
    let file = file.replace('_', "%5f").replace('/', "_");
    ["InRelease", "Release"].iter().find_map(|name| {
        let text = fs::read_to_string(lists.join(format!("{file}_{name}"))).ok()?;
        let origin = text.lines().find_map(|line| line.strip_prefix("Origin:"))?;
        Some(origin.trim().to_owned())
    })
}

fn is_debian_suite(suite: &str) -> bool {
    const NAMES: &[&str] = &[
        "buster",
        "bullseye",
        "bookworm",
        "trixie",
        "forky",
        "duke",
        "sid",
        "oldoldstable",
        "oldstable",
        "stable",
        "testing",
        "unstable",
    ];
    const POCKETS: &[&str] = &[
        "",
        "-updates",
        "-security",
        "-backports",
        "-proposed-updates",
        "/updates",
    ];
    NAMES.iter().any(|name| {
        suite
            .strip_prefix(name)
            .is_some_and(|rest| POCKETS.contains(&rest))
    })
}

/// `deb [option=value …] URI SUITE COMPONENT…`
fn parse_one_line(text: &str) -> Vec<Source> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let rest = line
        .strip_prefix("deb")
        .filter(|rest| rest.starts_with([' ', '\t', '[']))?
        .trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let signed_by = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by=").map(str::to_owned));
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by,
    })
}

fn parse_deb822(text: &str) -> Vec<Source> {
    deb822::paragraphs(&deb822::without_comments(text))
        .filter(|paragraph| paragraph.words("Types").any(|kind| kind == "deb"))
        .filter(|paragraph| {
            !paragraph
                .get("Enabled")
                .is_some_and(|value| value.eq_ignore_ascii_case("no"))
        })
        .map(|paragraph| {
            let words = |name| paragraph.words(name).map(str::to_owned).collect();
            Source {
                uris: words("URIs"),
                suites: words("Suites"),
                components: words("Components"),
                // A whole key may stand here: then it is whoever's it is, and we do not look.
                signed_by: paragraph
                    .get("Signed-By")
                    .filter(|keys| keys.starts_with('/'))
                    .map(str::to_owned),
            }
        })
        .collect()
}

/// `mirror+file:PATH`, as cloud images have it, stands for the list in that file.
fn expand_mirror_files(uris: &[String], read: impl Fn(&Path) -> Option<String>) -> Vec<String> {
    let mut bases = Vec::new();
    for uri in uris {
        let list = uri.strip_prefix("mirror+file:").and_then(|path| {
            let path = path.strip_prefix("//").unwrap_or(path);
            read(Path::new(path))
        });
        match list {
            Some(list) => bases.extend(
                list.lines()
                    .filter_map(|line| line.split_whitespace().next())
                    .filter(|word| !word.starts_with('#'))
                    .map(str::to_owned),
            ),
            None => bases.push(uri.clone()),
        }
    }
    bases
}

/// apt's own order: `sources.list`, then what lies in `sources.list.d`.
fn apt_files(etc: &Path) -> Vec<PathBuf> {
    let mut parts: Vec<_> = fs::read_dir(etc.join("sources.list.d"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "list" || extension == "sources")
        })
        .collect();
    parts.sort();
    [vec![etc.join("sources.list")], parts].concat()
}

fn is_http(uri: &str) -> bool {
    uri.starts_with("http://") || uri.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFICIAL: &str = "\
Types: deb
# http://snapshot.example/archive
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security/
Suites: bookworm-security
Components: main
";

    /// A system with these files.
    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn apt(name: &str, text: &str) -> Result<Mirrors, String> {
        Mirrors::from_apt(system(&[(&format!("etc/apt/{name}"), text)]).path())
    }

    fn bases(mirrors: &Mirrors) -> Vec<String> {
        mirrors.bases("20260711T101637Z").collect()
    }

    #[test]
    fn debians_own_sources_count_and_others_do_not() {
        for (name, text, expected) in [
            (
                "deb822",
                OFFICIAL,
                &[
                    "http://mirror.example/debian",
                    "http://mirror.example/debian-security",
                ][..],
            ),
            (
                "disabled",
                "Types: deb\nEnabled: no\nURIs: http://a.example\nSuites: sid\nComponents: main\n",
                &[],
            ),
            (
                "sources only",
                "Types: deb-src\nURIs: http://a.example\nSuites: sid\nComponents: main\n",
                &[],
            ),
            (
                "Ubuntu",
                "Types: deb\nURIs: http://a.example\nSuites: noble\nComponents: main\n",
                &[],
            ),
            (
                "component",
                "Types: deb\nURIs: http://a.example\nSuites: bookworm\nComponents: stable\n",
                &[],
            ),
            (
                "other keys",
                "Types: deb\nURIs: http://a.example\nSuites: bookworm\nComponents: main\nSigned-By: /k/vendor.gpg\n",
                &[],
            ),
        ] {
            let found = apt("sources.list.d/x.sources", text);
            match expected {
                [] => assert!(found.is_err(), "{name}: {found:?}"),
                _ => assert_eq!(bases(&found.unwrap()), expected, "{name}"),
            }
        }
    }

    #[test]
    fn one_line_sources_are_read_with_their_options() {
        for (line, expected) in [
            (
                "deb http://a.example/d bookworm main contrib",
                Some("http://a.example/d"),
            ),
            (
                "deb [arch=amd64 trusted=no] https://a.example/d/ stable main",
                Some("https://a.example/d"),
            ),
            (
                "deb\thttp://a.example/d\ttrixie-backports\tmain # mine",
                Some("http://a.example/d"),
            ),
            (
                "deb [signed-by=/k/debian-archive-keyring.gpg] http://a.example sid main",
                Some("http://a.example"),
            ),
            (
                "deb [signed-by=/k/vendor.gpg] http://a.example sid main",
                None,
            ),
            ("deb-src http://a.example/d bookworm main", None),
            ("# deb http://a.example/d bookworm main", None),
            ("deb http://a.example/apt cloud-tools-bookworm main", None),
            ("deb http://a.example/apt bookworm-pgdg main", None),
            ("deb http://a.example", None),
            ("deb [arch=amd64 http://a.example bookworm main", None),
            ("deb cdrom:[Debian 12]/ bookworm main", None),
        ] {
            let found = apt("sources.list", line)
                .ok()
                .map(|mirrors| bases(&mirrors));
            assert_eq!(found, expected.map(|base| vec![base.to_owned()]), "{line}");
        }
    }

    #[test]
    fn a_mirror_list_file_stands_for_what_it_lists() {
        let uris = [
            "mirror+file:///etc/m.list".to_owned(),
            "http://b.example".to_owned(),
        ];
        let expanded = expand_mirror_files(&uris, |path| {
            assert_eq!(path, Path::new("/etc/m.list"));
            Some("# ours\nhttp://a.example/debian priority:1\n\n".to_owned())
        });
        assert_eq!(expanded, ["http://a.example/debian", "http://b.example"]);
        assert_eq!(expand_mirror_files(&uris[..1], |_| None), uris[..1]);
    }

    /// Sources as these systems have them when they are new, with other hosts' names.
    #[test]
    fn each_systems_own_sources_say_whether_they_are_debians() {
        const TRIXIE: &str = "\
Types: deb
URIs: http://mirror.example/debian/
Suites: trixie trixie-updates
Components: main non-free-firmware
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp
";
        const UBUNTU: &str = "\
Types: deb
URIs: http://archive.example/ubuntu/
Suites: SUITE SUITE-updates SUITE-backports
Components: main universe restricted multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg
";
        let ubuntu = |suite: &str| UBUNTU.replace("SUITE", suite);
        let [noble, resolute] = ["noble", "resolute"].map(ubuntu);
        for (system, file, text, expected) in [
            (
                "Debian 13",
                "sources.list.d/debian.sources",
                TRIXIE,
                Some("http://mirror.example/debian"),
            ),
            (
                "Ubuntu 24.04",
                "sources.list.d/ubuntu.sources",
                &noble,
                None,
            ),
            (
                "Ubuntu 26.04",
                "sources.list.d/ubuntu.sources",
                &resolute,
                None,
            ),
            (
                "Kali",
                "sources.list",
                "deb http://http.example/kali kali-rolling main contrib non-free",
                None,
            ),
            (
                "Linux Mint",
                "sources.list.d/official-package-repositories.list",
                "deb http://packages.example zara main upstream import backport\n\
                 deb http://archive.example/ubuntu noble main restricted universe",
                None,
            ),
            ("Fedora or Arch", "none", "", None),
        ] {
            let found = apt(file, text).ok().map(|mirrors| bases(&mirrors));
            let found = found.as_ref().and_then(|bases| bases.first());
            assert_eq!(found.map(String::as_str), expected, "{system}");
        }
    }

    #[test]
    fn who_uses_debians_names_is_known_by_what_apt_has_fetched() {
        const SOURCE: &str = "deb http://a.example/my_os/ bookworm main";
        const LIST: &str = "var/lib/apt/lists/a.example_my%5fos_dists_bookworm_InRelease";
        for (origin, is_debians) in [
            ("Origin: Debian\n", true),
            ("Origin: Debian Backports\n", true),
            ("Origin: Raspbian\n", false),
            ("Label: none\n", true),
        ] {
            let signed = format!("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{origin}");
            let root = system(&[("etc/apt/sources.list", SOURCE), (LIST, &signed)]);
            let found = Mirrors::from_apt(root.path());
            assert_eq!(found.is_ok(), is_debians, "{origin}: {found:?}");
        }
    }

    #[test]
    fn debootstrap_names_a_mirror_in_its_script_or_in_itself() {
        let script = "mirror_style release\ndefault_mirror http://s.example/debian\n";
        let itself = "if true; then\n\tMIRRORS=\"$DEF_MIRROR\"\nfi\n\
                      DEF_MIRROR=\"http://p.example/debian\"\n\
                      DEF_HTTPS_MIRROR=\"https://p.example/debian\"\n";
        let [sid, sbin, bin] = DEBOOTSTRAP;
        for (files, expected) in [
            (
                &[(sid, "variants -"), (sbin, itself)][..],
                "http://p.example/debian",
            ),
            (&[(bin, itself)], "http://p.example/debian"),
            (&[(sid, script), (sbin, itself)], "http://s.example/debian"),
        ] {
            let found = Mirrors::from_debootstrap("no mirror", Ok(()), system(files).path());
            assert_eq!(bases(&found.unwrap())[0], expected, "{files:?}");
        }
    }

    #[test]
    fn no_mirror_is_an_error_that_says_what_to_set() {
        let error = apt("sources.list", "").unwrap_err();
        assert!(error.contains("no Debian mirror"), "{error}");
        let error = apt("sources.list", "deb file:/srv/debian bookworm main").unwrap_err();
        assert!(error.contains("file:/srv/debian"), "{error}");

        let no_right = || Err(anyhow!("debootstrap not found: run `sudo dnf install it`"));
        let strange = [(DEBOOTSTRAP[1], "DEF_MIRROR=\"$1\"\n")];
        for (installed, files, words) in [
            (no_right(), &[][..], "run `sudo dnf install it`"),
            (Ok(()), &strange, "no mirror, and neither does debootstrap"),
        ] {
            let found = Mirrors::from_debootstrap("no mirror", installed, system(files).path());
            let error = found.unwrap_err().to_string();
            assert!(
                error.contains(words) && error.contains("set ICMPTAP_MIRROR to"),
                "{error}"
            );
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn the_security_suites_are_looked_for_beside_the_others() {
        for (list, expected) in [
            (
                "http://a.example/debian http://b.example/d",
                &[
                    "http://a.example/debian",
                    "http://b.example/d",
                    "http://a.example/debian-security",
                ][..],
            ),
            (
                "http://a.example/debian-security http://a.example/debian",
                &[
                    "http://a.example/debian-security",
                    "http://a.example/debian",
                ],
            ),
            (
                "http://s.example/archive/debian/{date}",
                &[
                    "http://s.example/archive/debian/20260711T101637Z",
                    "http://s.example/archive/debian-security/20260711T101637Z",
                ],
            ),
        ] {
            assert_eq!(
                bases(&Mirrors::from_list(list).unwrap()),
                expected,
                "{list}"
            );
        }
    }

    #[test]
    fn the_users_list_is_split_checked_and_dated() {
        let mirrors =
            Mirrors::from_list("http://a.example/d/, http://s.example/{date}\n http://a.example/d");
        assert_eq!(
            bases(&mirrors.unwrap()),
            ["http://a.example/d", "http://s.example/20260711T101637Z"]
        );
        let error = Mirrors::from_list("ftp://a.example")
            .unwrap_err()
            .to_string();
        assert!(error.contains("\"ftp://a.example\""), "{error}");
        assert!(Mirrors::from_list(" ,").is_err());
    }
}

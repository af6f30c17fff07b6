//! Where Debian's archive is, seen from this machine.
//!
//! We name no host. The user does (`ICMPTAP_MIRROR`), or the machine already has:
//! a Debian system's apt sources say which mirrors it may use.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use super::deb822;

/// Bases to put before `pool/…` and `dists/…`, in the order to try them. One may
/// hold `{date}`: a snapshot archive's directory for that date.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mirrors(Vec<String>);

impl Mirrors {
    /// What `ICMPTAP_MIRROR` says, else what apt's sources say.
    pub(crate) fn of_this_machine() -> Result<Mirrors> {
        match std::env::var("ICMPTAP_MIRROR") {
            Ok(list) if !list.trim().is_empty() => Mirrors::from_list(&list),
            _ => Mirrors::from_apt(Path::new("/etc/apt")),
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

    fn from_apt(etc: &Path) -> Result<Mirrors> {
        let mut uris = Vec::new();
        for file in apt_files(etc) {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let sources = match file.extension() {
                Some(extension) if extension == "sources" => parse_deb822(&text),
                _ => parse_one_line(&text),
            };
            uris.extend(
                sources
                    .into_iter()
                    .filter(Source::is_debian)
                    .flat_map(|source| source.uris),
            );
        }
        let bases = expand_mirror_files(&uris, |path| fs::read_to_string(path).ok());
        let (bases, skipped): (Vec<_>, Vec<_>) = bases.into_iter().partition(|uri| is_http(uri));
        if bases.is_empty() {
            let why = match skipped.first() {
                None => "this machine's apt sources name no Debian mirror".to_owned(),
                Some(uri) => format!("this machine's apt sources name no http mirror (only {uri})"),
            };
            bail!(
                "{why}: set ICMPTAP_MIRROR to the address of one (the directory that holds dists/ and pool/)"
            );
        }
        Ok(Mirrors::unique(bases.into_iter()))
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
    /// suite names too, but not its component or its keys.
    fn is_debian(&self) -> bool {
        self.suites.iter().any(|suite| is_debian_suite(suite))
            && self.components.iter().any(|component| component == "main")
            && self
                .signed_by
                .as_ref()
                .is_none_or(|keys| keys.contains("debian-archive"))
    }
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

    fn apt(files: &[(&str, &str)]) -> Result<Mirrors> {
        let etc = tempfile::tempdir().unwrap();
        fs::create_dir(etc.path().join("sources.list.d")).unwrap();
        for (name, text) in files {
            fs::write(etc.path().join(name), text).unwrap();
        }
        Mirrors::from_apt(etc.path())
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
            let found = apt(&[("sources.list.d/x.sources", text)]);
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
            let found = apt(&[("sources.list", line)])
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

    #[test]
    fn no_mirror_is_an_error_that_says_what_to_set() {
        let error = apt(&[]).unwrap_err().to_string();
        assert!(
            error.contains("no Debian mirror") && error.contains("set ICMPTAP_MIRROR"),
            "{error}"
        );
        let error = apt(&[("sources.list", "deb file:/srv/debian bookworm main")])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("file:/srv/debian") && error.contains("set ICMPTAP_MIRROR"),
            "{error}"
        );
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

//! What was fetched or made once and need not be again: `~/.cache/icmptap`.
//!
//! An entry is a file or a directory whose name holds the hash of what went into
//! it, so it is either absent or right. It is made under `tmp/` and renamed into
//! place when whole: whatever interrupts us, no reader ever sees half of one. A
//! lock keeps two `xtask`s from making the same thing; whoever holds it may
//! therefore throw away all that an interrupted one left under `tmp/`. What takes
//! minutes is made in a workshop with a lock of its own.

use std::cell::Cell;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use xtask_host::ui;

/// The cache, open.
pub struct Cache {
    root: PathBuf,
    lock: File,
    /// How many entries are being made, one inside the other.
    depth: Cell<u32>,
    /// Temporary names given out.
    serial: Cell<u32>,
}

impl Cache {
    /// The user's cache: `$XDG_CACHE_HOME/icmptap`, else `~/.cache/icmptap`.
    pub fn open() -> Result<Cache> {
        let root = location(
            std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from),
            std::env::home_dir(),
        )
        .ok_or_else(|| anyhow!("no place for the cache: set XDG_CACHE_HOME or HOME"))?;
        Cache::at(root)
    }

    /// A cache in this directory, which is made if need be.
    pub fn at(root: impl Into<PathBuf>) -> Result<Cache> {
        let root = root.into();
        let lock = open_lock(&root).with_context(|| {
            format!(
                "cannot use {} as the cache (set XDG_CACHE_HOME to a directory of yours)",
                root.display()
            )
        })?;
        Ok(Cache {
            root,
            lock,
            depth: Cell::new(0),
            serial: Cell::new(0),
        })
    }

    /// The entry, if it is there.
    pub fn get(&self, name: &str) -> Option<PathBuf> {
        let path = self.root.join(name);
        path.exists().then_some(path)
    }

    /// The entry, made first if it is not there: `make` gets a path at which to
    /// create it, a file or a directory. May be called from within `make`.
    pub fn entry(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        if let Some(path) = self.get(name) {
            return Ok(path);
        }
        let _making = self.making()?;
        // Another xtask may have made it while we waited for the lock.
        if let Some(path) = self.get(name) {
            return Ok(path);
        }
        let path = self.root.join(name);
        let scrap = Scrap(self.temporary());
        make(&scrap.0)?;
        publish(&scrap.0, &path)
            .with_context(|| format!("cannot add {} to the cache", path.display()))?;
        Ok(path)
    }

    /// A directory in which to make the entry of this name, for what takes so long that
    /// others must not have to wait: all but those who want the same entry, and they
    /// find it made when they get here. [`Workshop::finish`] makes it the entry.
    pub fn workshop(&self, name: &str) -> Result<Workshop<'_>> {
        let dir = self.root.join("workshops").join(name.replace('/', "-"));
        let open = || {
            fs::create_dir_all(self.root.join("workshops"))?;
            let lock = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(dir.with_added_extension("lock"))?;
            acquire(&lock, &format!("another xtask is making {name}"))?;
            remove(&dir)?;
            fs::create_dir_all(&dir)?;
            io::Result::Ok(lock)
        };
        let lock = open().with_context(|| format!("cannot work in {}", dir.display()))?;
        Ok(Workshop {
            cache: self,
            name: name.to_owned(),
            scrap: Scrap(dir),
            _lock: lock,
        })
    }

    /// Where to keep what was said while the entry of this name was made.
    pub fn log(&self, name: &str) -> Result<PathBuf> {
        let dir = self.root.join("logs");
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(dir.join(name.replace('/', "-")).with_added_extension("log"))
    }

    /// A name under `tmp/` that nothing has.
    fn temporary(&self) -> PathBuf {
        self.serial.set(self.serial.get() + 1);
        self.root.join("tmp").join(self.serial.get().to_string())
    }

    /// Takes the lock, unless we have it already.
    fn making(&self) -> Result<Making<'_>> {
        if self.depth.get() == 0 {
            acquire(&self.lock, "another xtask is filling the cache")
                .with_context(|| format!("cannot lock the cache {}", self.root.display()))?;
            let leftovers = self.root.join("tmp");
            remove(&leftovers)
                .and_then(|()| fs::create_dir_all(&leftovers))
                .with_context(|| format!("cannot clean {}", leftovers.display()))?;
        }
        self.depth.set(self.depth.get() + 1);
        Ok(Making(self))
    }
}

/// Somewhere to work undisturbed; see [`Cache::workshop`]. What is not finished goes.
pub struct Workshop<'a> {
    cache: &'a Cache,
    name: String,
    scrap: Scrap,
    _lock: File,
}

impl Workshop<'_> {
    /// The directory, empty at first.
    pub fn dir(&self) -> &Path {
        &self.scrap.0
    }

    /// Makes `tree`, which lies in the directory, the entry.
    pub fn finish(self, tree: &Path) -> Result<PathBuf> {
        self.cache
            .entry(&self.name, |path| Ok(fs::rename(tree, path)?))
    }
}

fn acquire(lock: &File, why_not: &str) -> io::Result<()> {
    match lock.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            ui::say("wait", why_not);
            lock.lock()
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The lock, held.
struct Making<'a>(&'a Cache);

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let depth = self.0.depth.get() - 1;
        self.0.depth.set(depth);
        if depth == 0 {
            // Closing the file would release it too; there is nothing else to do.
            let _ = self.0.lock.unlock();
        }
    }
}

/// Something unfinished, which goes when we do.
struct Scrap(PathBuf);

impl Drop for Scrap {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next xtask.
        let _ = remove(&self.0);
    }
}

fn location(xdg: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    // A relative path is to be ignored, says the XDG specification.
    let xdg = xdg.filter(|dir| dir.is_absolute());
    let home = home
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(".cache"));
    xdg.or(home).map(|dir| dir.join("icmptap"))
}

fn open_lock(root: &Path) -> io::Result<File> {
    fs::create_dir_all(root)?;
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(root.join("lock"))
}

fn publish(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    if from.is_file() {
        File::open(from)?.sync_all()?;
    }
    fs::rename(from, to)
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use anyhow::bail;

    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().join("cache")).unwrap();
        (dir, cache)
    }

    fn leftovers(cache: &Cache) -> usize {
        fs::read_dir(cache.root.join("tmp")).map_or(0, Iterator::count)
    }

    #[test]
    fn the_place_is_xdgs_else_homes() {
        let path = |text: &str| Some(PathBuf::from(text));
        for (xdg, home, expected) in [
            (path("/x"), path("/h"), path("/x/icmptap")),
            (None, path("/h"), path("/h/.cache/icmptap")),
            (path("relative"), path("/h"), path("/h/.cache/icmptap")),
            (path(""), path("/h"), path("/h/.cache/icmptap")),
            (None, None, None),
            (None, path(""), None),
        ] {
            assert_eq!(location(xdg, home), expected);
        }
    }

    #[test]
    fn an_entry_is_made_once() {
        let (_dir, cache) = cache();
        let first = cache
            .entry("files/a", |path| Ok(fs::write(path, "one")?))
            .unwrap();
        let again = cache.entry("files/a", |_| bail!("made twice")).unwrap();
        assert_eq!(first, again);
        assert_eq!(fs::read_to_string(again).unwrap(), "one");
        assert_eq!(leftovers(&cache), 0);
    }

    #[test]
    fn a_workshop_is_in_nobodys_way_and_leaves_nothing() {
        let (_dir, cache) = cache();
        let workshop = cache.workshop("trees/a").unwrap();
        let dir = workshop.dir().to_owned();
        cache
            .entry("files/b", |path| Ok(fs::write(path, "meanwhile")?))
            .unwrap();
        fs::write(dir.join("half"), "").unwrap();
        drop(workshop);
        assert!(!dir.exists() && cache.get("trees/a").is_none());

        let workshop = cache.workshop("trees/a").unwrap();
        let tree = dir.join("tree");
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("file"), "whole").unwrap();
        let entry = workshop.finish(&tree).unwrap();
        assert_eq!(fs::read_to_string(entry.join("file")).unwrap(), "whole");
        assert!(!dir.exists());
    }

    #[test]
    fn who_wants_the_same_workshop_waits() {
        let (_dir, cache) = cache();
        let workshop = cache.workshop("trees/a").unwrap();
        let tree = workshop.dir().join("tree");
        fs::create_dir(&tree).unwrap();
        thread::scope(|scope| {
            let root = cache.root.clone();
            let other = scope.spawn(move || {
                let cache = Cache::at(root).unwrap();
                let workshop = cache.workshop("trees/a").unwrap();
                (cache.get("trees/a").is_some(), workshop.dir().exists())
            });
            thread::sleep(Duration::from_millis(50));
            workshop.finish(&tree).unwrap();
            assert_eq!(other.join().unwrap(), (true, true));
        });
    }

    #[test]
    fn a_failure_leaves_nothing() {
        let (_dir, cache) = cache();
        let made = cache.entry("trees/a", |path| {
            fs::create_dir(path)?;
            fs::write(path.join("half"), "")?;
            bail!("interrupted")
        });
        assert_eq!(made.unwrap_err().to_string(), "interrupted");
        assert_eq!(cache.get("trees/a"), None);
        assert_eq!(leftovers(&cache), 0);
    }

    #[test]
    fn what_an_interrupted_run_left_is_thrown_away() {
        let (_dir, cache) = cache();
        fs::create_dir_all(cache.root.join("tmp/1/deep")).unwrap();
        fs::write(cache.root.join("tmp/7"), "half").unwrap();
        cache.entry("a", |path| Ok(fs::write(path, "")?)).unwrap();
        assert_eq!(leftovers(&cache), 0);
    }

    #[test]
    fn an_entry_may_be_made_within_another() {
        let (_dir, cache) = cache();
        let outer = cache.entry("outer", |path| {
            let inner = cache.entry("inner", |path| Ok(fs::write(path, "seed")?))?;
            fs::copy(inner, path)?;
            Ok(())
        });
        assert_eq!(fs::read_to_string(outer.unwrap()).unwrap(), "seed");
    }

    #[test]
    fn two_at_once_make_one_entry() {
        let (_dir, first) = cache();
        let root = first.root.clone();
        let entry = first.entry("a", |path| {
            let second = thread::spawn(move || {
                let second = Cache::at(root).unwrap();
                second
                    .entry("a", |path| Ok(fs::write(path, "second")?))
                    .unwrap();
            });
            thread::sleep(Duration::from_millis(100));
            assert!(
                !second.is_finished(),
                "the second did not wait for the first"
            );
            fs::write(path, "first")?;
            Ok(())
        });
        thread::sleep(Duration::from_millis(100));
        assert_eq!(fs::read_to_string(entry.unwrap()).unwrap(), "first");
    }
}

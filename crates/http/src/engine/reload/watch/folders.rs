//! The folders whose changes may be changes of a watched file.
//!
//! The files themselves are not watched: whoever replaces a file by another one, as editors and
//! Kubernetes do, would leave the watch on the old one. Watched are the folder of each path, in
//! which a file or a link may be swapped, and the folder of the file to which the path leads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::bell::Bell;

/// The watched folders of all files.
pub(super) struct Folders {
    files: Vec<PathBuf>,
    bell: Arc<Bell>,
    watcher: Option<RecommendedWatcher>,
    watched: Vec<PathBuf>,
}

impl Folders {
    pub(super) fn new(files: Vec<PathBuf>, bell: Arc<Bell>) -> Self {
        Self { files, bell, watcher: None, watched: Vec::new() }
    }

    /// Watches the folders anew, because they may be others by now. A folder that can't be watched
    /// is an error, but does not keep the others from being watched.
    pub(super) fn watch(&mut self) -> notify::Result<()> {
        let watcher = match &mut self.watcher {
            Some(watcher) => watcher,
            none => {
                let bell = Arc::clone(&self.bell);
                none.insert(notify::recommended_watcher(move |event| {
                    if may_be_change(&event) {
                        bell.changed();
                    }
                })?)
            }
        };
        for folder in self.watched.drain(..) {
            // The folder may be gone, and its watch with it.
            let _ = watcher.unwatch(&folder);
        }
        let mut first_error = Ok(());
        for folder in self.files.iter().flat_map(|file| folders_of(file)) {
            let known = &mut self.watched;
            let result = folder.and_then(|folder| {
                if !known.contains(&folder) {
                    watcher.watch(&folder, RecursiveMode::NonRecursive)?;
                    known.push(folder);
                }
                Ok(())
            });
            first_error = first_error.and(result);
        }
        first_error
    }
}

/// The folder of a path, and that of the file to which it leads, if there is one.
fn folders_of(file: &Path) -> impl Iterator<Item = notify::Result<PathBuf>> {
    let folder = folder_of(file).canonicalize().map_err(notify::Error::io);
    let of_target = file.canonicalize().ok().map(|target| Ok(folder_of(&target).to_owned()));
    std::iter::once(folder).chain(of_target)
}

/// The folder of a path. A bare name is in the current folder.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => path,
    }
}

/// Whether something may have changed. That a file was opened or read is no change, and this
/// program does it itself.
fn may_be_change(event: &notify::Result<Event>) -> bool {
    match event.as_ref().map(|event| event.kind) {
        Ok(EventKind::Access(access)) => access == AccessKind::Close(AccessMode::Write),
        Ok(_) | Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, Flag, ModifyKind, RenameMode};

    use super::*;

    #[test]
    fn a_bare_name_is_in_the_current_folder() {
        assert_eq!(folder_of(Path::new("limits.toml")), Path::new("."));
        assert_eq!(folder_of(Path::new("/etc/limits.toml")), Path::new("/etc"));
        assert_eq!(folder_of(Path::new("/")), Path::new("/"));
    }

    #[test]
    fn reading_the_file_is_no_change() {
        let is_change = |kind| may_be_change(&Ok(Event::new(kind)));
        assert!(!is_change(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!is_change(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(is_change(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(is_change(EventKind::Create(CreateKind::File)));
        assert!(is_change(EventKind::Modify(ModifyKind::Name(RenameMode::To))));
        assert!(may_be_change(&Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan))));
        assert!(may_be_change(&Err(notify::Error::generic("the queue is full"))));
    }
}

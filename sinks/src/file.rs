//! Reads the user's files with a bound. A larger file is an error, never cut off in silence.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The permission bits with which others may read a file, and enter a folder.
const READ: u32 = 0o004;
const ENTER: u32 = 0o001;

/// Reads a file of at most `most` bytes. A larger one is an error, [`ErrorKind::FileTooLarge`].
pub fn read_file(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    read_bounded(File::open(path)?, most, Vec::new())
}

/// Reads everything from a reader, with the same bound as [`read_file`]. `bytes` is an empty buffer to read into.
pub fn read_bounded(from: impl Read, most: usize, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    from.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most { Err(io::Error::new(ErrorKind::FileTooLarge, larger_than(most))) } else { Ok(bytes) }
}

/// Returns the bytes as text. The error repeats none of them.
pub(crate) fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not valid UTF-8"))
}

/// Whether every user of the machine can read a file: its mode lets others read it, and so do the modes of all folders
/// that lead to it.
pub fn is_public(path: &Path, metadata: &Metadata) -> bool {
    let others_may = |metadata: &Metadata, right| metadata.permissions().mode() & right != 0;
    if !others_may(metadata, READ) {
        return false;
    }
    // Where it really is: what leads to a link keeps nobody from the file.
    let Ok(path) = path.canonicalize() else { return true };
    path.ancestors().skip(1).all(|folder| folder.metadata().map_or(true, |folder| others_may(&folder, ENTER)))
}

fn larger_than(bytes: usize) -> String {
    let kibibytes = bytes / 1024;
    if kibibytes.is_multiple_of(1024) {
        format!("it is larger than {} MiB", kibibytes / 1024)
    } else {
        format!("it is larger than {kibibytes} KiB")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_larger_is_an_error_and_not_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "x".repeat(64 * 1024)).unwrap();
        assert_eq!(read_file(&path, 64 * 1024).unwrap().len(), 64 * 1024);
        for (path, most, what) in [
            (path.as_path(), 63 * 1024, "it is larger than 63 KiB"),
            (Path::new("/dev/zero"), 1024 * 1024, "it is larger than 1 MiB"),
        ] {
            let error = read_file(path, most).unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::FileTooLarge, what.to_owned()));
        }
    }
}

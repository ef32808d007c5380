//! Where a log comes from: a file or standard input, compressed by gzip or not.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;

use super::LogError;

/// The first two bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A log that has been opened.
pub struct Input {
    pub(super) name: String,
    pub(super) bytes: Box<dyn Read + Send>,
}

impl Input {
    /// What `bytes` reads, under a name. What begins as gzip is unpacked.
    #[must_use]
    pub fn of(name: impl Into<String>, bytes: impl Read + Send + 'static) -> Self {
        Self { name: name.into(), bytes: Box::new(Unpacked::Unknown(Some(Box::new(bytes)))) }
    }

    /// The file at `path`, or standard input if that is `-`. The bar moves as the log is read.
    ///
    /// # Errors
    ///
    /// If the file can't be opened.
    pub fn open(path: &Path, bar: &ProgressBar) -> Result<Self, LogError> {
        if path.as_os_str() == "-" {
            return Ok(Self::of("standard input", io::stdin()));
        }
        let name = path.display().to_string();
        let file = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        match file {
            Ok((length, file)) => {
                bar.inc_length(length);
                Ok(Self::of(name, bar.wrap_read(file)))
            }
            Err(error) => Err(LogError::Unreadable { name, error }),
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A reader that looks at the first bytes when they are asked for, and then unpacks or does not.
enum Unpacked {
    Unknown(Option<Box<dyn Read + Send>>),
    Plain(BufReader<Box<dyn Read + Send>>),
    Gzip(Box<MultiGzDecoder<BufReader<Box<dyn Read + Send>>>>),
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Self::Unknown(bytes) = self {
            let Some(bytes) = bytes.take() else { return Ok(0) };
            let mut bytes = BufReader::with_capacity(64 * 1024, bytes);
            *self = if bytes.fill_buf()?.starts_with(&GZIP) {
                Self::Gzip(Box::new(MultiGzDecoder::new(bytes)))
            } else {
                Self::Plain(bytes)
            };
        }
        match self {
            Self::Unknown(_) => Ok(0),
            Self::Plain(bytes) => bytes.read(buffer),
            Self::Gzip(bytes) => bytes.read(buffer),
        }
    }
}

//! One benchmark at a time.

use std::fs::{File, TryLockError};
use std::path::PathBuf;

use anyhow::{Context as _, bail};

/// Held while a benchmark runs; the kernel gives it back however the process ends.
#[derive(Debug)]
pub struct BenchmarkLock {
    _file: File,
}

impl BenchmarkLock {
    /// Takes the lock of this machine's temporary directory.
    ///
    /// # Errors
    /// When another benchmark runs, or the file cannot be made.
    pub fn take() -> anyhow::Result<Self> {
        Self::take_at(std::env::temp_dir().join("kefu-load.lock"))
    }

    fn take_at(path: PathBuf) -> anyhow::Result<Self> {
        let file = File::options().append(true).create(true).open(&path);
        let file = file.with_context(|| path.display().to_string())?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => bail!(
                "another benchmark is running on this machine, and each would falsify the other: wait for it to end"
            ),
            Err(TryLockError::Error(error)) => Err(error).context(path.display().to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_benchmark_is_refused_until_the_first_has_ended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = BenchmarkLock::take_at(path.clone()).unwrap();
        assert!(BenchmarkLock::take_at(path.clone()).is_err());
        drop(first);
        assert!(BenchmarkLock::take_at(path).is_ok());
    }
}

use std::fs;
use std::io;
use std::path::Path;

/// Puts a copy of the files of `from`, and of its directories with theirs, in the place of all that is in `to`; sockets stay
/// behind.
///
/// # Errors
///
/// As the file system says.
pub fn put_copy(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            put_copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

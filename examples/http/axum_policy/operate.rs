//! The operator of the shop, who changes the file while the server runs.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use tollgate_http::{BuildError, HttpLimiter, Policy};

use crate::http_client::Client;
use crate::serve::AnyError;
use crate::visit::Visitor;

/// Edits a copy of the file three times, and prints what each edit changes for visitors.
pub(crate) async fn operate(address: SocketAddr, limiter: &HttpLimiter) -> Result<(), AnyError> {
    let shop = Client::of(address);
    let visitor = Visitor::at(&shop, "192.0.2.20")?;
    let bob = Visitor::user(&shop, "bob")?;
    let file = LimitsFile::copy()?;

    println!("\nThe file changes while the server runs:");
    let left = async |times| -> Result<String, AnyError> {
        let row = visitor.asks(times, "GET /items/7").await?;
        // The limits of a request are a list; that of the whole site says little here.
        let mut limits = row.last().field("ratelimit").unwrap_or_default().split(", ");
        let calls = limits.find(|limit| limit.starts_with("\"calls\""));
        Ok(calls.unwrap_or_default().to_owned())
    };
    let before = left(6).await?;
    println!("  192.0.2.20 has used 6 of its 10 calls: {before}");
    assert!(before.contains(r#""calls";r=4;"#));

    file.edit(r#"quota = "10/min""#, r#"quota = "20/min""#)?;
    file.reload(limiter)?;
    let after = left(1).await?;
    println!("  ... of 20 that is 12, and one more call is 13: {after}");
    assert!(after.contains(r#""calls";r=7;"#));

    file.edit(r#"calls = "300/min""#, r#"cals = "300/min""#)?;
    let error = file.reload(limiter).err().ok_or("a limit that does not exist was accepted")?;
    println!("  not in force: {error}");
    assert!(error.to_string().contains("`calls`"));
    assert!(left(1).await?.contains(r#""calls";r=6;"#));
    file.edit(r#"cals = "300/min""#, r#"calls = "300/min""#)?;

    file.append("[[subjects]]\nuser = \"bob\"\nblocked = true\n")?;
    file.reload(limiter)?;
    let bob = bob.asks(1, "GET /items/7").await?.got(403, 1..=1);
    println!("  bob, who is blocked now, gets {}", bob.last().status);
    Ok(())
}

/// A copy of `limits.toml`, which is removed in the end.
struct LimitsFile(PathBuf);

impl LimitsFile {
    fn copy() -> Result<Self, AnyError> {
        let name = format!("tollgate-axum-policy-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder)?;
        let copy = Self(folder);
        fs::copy(crate::LIMITS, copy.path())?;
        Ok(copy)
    }

    fn path(&self) -> PathBuf {
        self.0.join("limits.toml")
    }

    fn edit(&self, old: &str, new: &str) -> Result<(), AnyError> {
        let text = fs::read_to_string(self.path())?;
        assert!(text.contains(old), "the file has no `{old}`");
        Ok(fs::write(self.path(), text.replace(old, new))?)
    }

    fn append(&self, text: &str) -> Result<(), AnyError> {
        let before = fs::read_to_string(self.path())?;
        Ok(fs::write(self.path(), before + "\n" + text)?)
    }

    /// Puts the file in force. If it has a mistake, the policy in force stays.
    fn reload(&self, limiter: &HttpLimiter) -> Result<(), BuildError> {
        let policy = Policy::from_path(self.path())?;
        limiter.reload(&policy)?;
        println!("  reload: policy {} is in force", policy.hash());
        Ok(())
    }
}

impl Drop for LimitsFile {
    fn drop(&mut self) {
        // A folder that is left over in the system's temporary folder does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

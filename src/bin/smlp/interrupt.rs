//! Ctrl-C and SIGTERM as a wish to stop at the next good moment; a second one stops at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use smlp::{Error, Result};

/// Becomes true with the first signal.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From here on, signals are caught.
    pub fn watch() -> Result<Self> {
        let wished = Arc::new(AtomicBool::new(false));
        let failed = |e: std::io::Error| Error::Io {
            path: "signals".into(),
            message: e.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let watched = Arc::clone(&wished);
        std::thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    if !signal().await {
                        return;
                    }
                    if watched.swap(true, Ordering::Relaxed) {
                        std::process::exit(130);
                    }
                    eprintln!("smlp: stopping after this step; once more stops at once");
                }
            });
        });
        Ok(Self(wished))
    }

    pub fn wished(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Waits for a signal; false when they cannot be watched.
#[cfg(unix)]
async fn signal() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        return false;
    };
    tokio::select! {
        arrived = interrupt.recv() => arrived.is_some(),
        arrived = terminate.recv() => arrived.is_some(),
    }
}

#[cfg(not(unix))]
async fn signal() -> bool {
    tokio::signal::ctrl_c().await.is_ok()
}

//! Work that nothing can stop, done apart, so that its caller can leave it.
//!
//! * A compressor is one call of a library, which may take minutes and looks at nothing meanwhile. It
//!   runs on a thread of its own, with memory of its own, and the caller asks whether to stop.
//! * A caller that stops leaves at once. The work that it has left changes nothing that others see: it
//!   uses its processor until it is done, and its result is dropped.

use std::sync::mpsc::{sync_channel, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::error::{Error, Result};
use crate::fork::generation;
use crate::memory;
use crate::objects::Stop;
use crate::pool::LOOK;

/// Return the result of `work`; fail as interrupted, without waiting for it, if `stop` says so.
pub fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static, stop: Stop) -> Result<T> {
    let work = Arc::new(Mutex::new(Some(work)));
    let (told, heard) = sync_channel(1);
    let process = generation();
    let shared = work.clone();
    let apart = move || {
        let taken = shared.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(work) = taken {
            // The caller may have left.
            let _ = told.send(work());
        }
    };
    let thread = thread::Builder::new().name(String::from("fastzarr-apart"));
    if !memory::spare() || thread.spawn(apart).is_err() {
        let taken = work.lock().unwrap_or_else(PoisonError::into_inner).take();
        return taken.map(|work| work()).ok_or_else(panicked);
    }
    loop {
        match heard.recv_timeout(LOOK) {
            Ok(found) => return Ok(found),
            Err(RecvTimeoutError::Disconnected) => return Err(panicked()),
            Err(RecvTimeoutError::Timeout) if stop() => return Err(Error::interrupted()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if generation() != process {
            // `stop` may run signal handlers that fork. The child has no such thread, and must not
            // take the locks of its channel.
            std::mem::forget((heard, work));
            return Err(Error::codec("pool", "the process forked during the call"));
        }
    }
}

fn panicked() -> Error {
    Error::codec("pool", "a task panicked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn work_is_returned_or_left() {
        assert_eq!(run(|| 7, &|| true), Ok(7));
        let (go, wait) = channel::<()>();
        let (told, ended) = channel();
        let work = move || {
            let _ = wait.recv();
            told.send(()).unwrap();
        };
        assert_eq!(run(work, &|| true), Err(Error::interrupted()));
        drop(go);
        assert_eq!(ended.recv(), Ok(()));
        let panics = || -> i32 { panic!("on purpose") };
        assert_eq!(run(panics, &|| false), Err(panicked()));
    }
}

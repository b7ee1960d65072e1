//! A pool of threads that all callers share: started when first needed, and again in a forked
//! child.
//!
//! * `run` calls a task once for each number below a count, on several threads at once. Once it has
//!   returned, however it did, no thread touches the task any more: each thread that works for a
//!   call is its member, joins and leaves under the pool's lock, and the call waits for the last.
//! * In a call whose tasks are brief, the caller's thread works along and polls between two tasks.
//!   In a call whose tasks may be long, it only polls, fifty times a second.
//! * No more threads, callers' included, work at a time than the process has processors, unless a
//!   call asks for more, or has had no member for a while: the tasks of the others may be waiting
//!   for it. A thread joins the call with the fewest members, and leaves it if another call has
//!   none. A call from inside a task runs on the task's thread.
//! * After a fork, the child has none of the threads, and the locks that they held stay held. So
//!   the child abandons the pool that it inherited and makes its own.
//!
//! `unsafe` has two reasons: the workers outlive the tasks that they are lent, and the pool is
//! found by a pointer, because any lock around it could be held at a fork.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use self::waiting::{lock, spin_while};
use crate::error::{Error, Result};
use crate::fork::generation;
use crate::memory;

/// How often a call polls whether to stop.
pub const LOOK: Duration = Duration::from_millis(20);
/// How long a worker stays with a call while another call has no worker.
const TURN: Duration = Duration::from_millis(2);
/// How long an idle worker keeps its scratch memory.
const KEEP: Duration = Duration::from_secs(1);
/// How many polls a call may have no member before it gets another worker.
const PATIENCE: u32 = 25;
/// The most numbers that a thread takes at once.
const GRAIN: usize = 16;

/// A task, called with each number and with what the thread keeps from call to call.
pub type Task<'a> = dyn Fn(usize, &mut WorkerLocal) + Sync + 'a;

/// How a call ended, if it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The task was called with every number.
    Done,
    /// The call was stopped, by `poll` or by a task, before all numbers were taken.
    Stopped,
}

/// How long tasks may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tasks {
    /// Milliseconds at most: the calling thread works along.
    Brief,
    /// Any time: the calling thread only polls.
    Long,
}

/// What a thread keeps from task to task and from call to call: contexts and scratch.
#[derive(Default)]
pub struct WorkerLocal {
    kept: Option<Box<dyn Any + Send>>,
    call: Option<Arc<Call>>,
}

impl WorkerLocal {
    /// Return what this thread keeps, which is made by `Default` when first used.
    pub fn kept<T: Any + Default + Send>(&mut self) -> &mut T {
        if !self.kept.as_ref().is_some_and(|kept| kept.is::<T>()) {
            self.kept = None;
        }
        let kept = self.kept.get_or_insert_with(|| Box::<T>::default());
        // The type was checked above.
        kept.downcast_mut().unwrap_or_else(|| unreachable!())
    }

    /// Have the call end early, after a failure: no further numbers are taken.
    pub fn stop(&self) {
        if let Some(call) = &self.call {
            call.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// One call.
struct Call {
    task: *const Task<'static>,
    count: usize,
    /// How many threads may work.
    threads: usize,
    next: AtomicUsize,
    stop: AtomicBool,
    /// How many threads work; written under the pool's lock.
    members: AtomicUsize,
    /// Notified when the last member leaves.
    left: Condvar,
    panic: Mutex<Option<String>>,
}

// SAFETY: the task is `Sync`; only members follow the pointer to it, and `run` waits for them.
unsafe impl Send for Call {}
// SAFETY: as above.
unsafe impl Sync for Call {}

impl Call {
    fn new(task: &Task<'_>, count: usize, threads: usize, members: usize) -> Call {
        let task: *const Task<'_> = task;
        Call {
            // SAFETY: only the lifetime changes. `run` does not return before the last member has
            // left the call, and only members follow the pointer.
            task: unsafe { std::mem::transmute::<*const Task<'_>, *const Task<'static>>(task) },
            count,
            threads,
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            members: AtomicUsize::new(members),
            left: Condvar::new(),
            panic: Mutex::new(None),
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn members(&self) -> usize {
        self.members.load(Ordering::Acquire)
    }

    /// Whether there are numbers that no thread has taken.
    fn open(&self) -> bool {
        !self.stopped() && self.next.load(Ordering::Relaxed) < self.count
    }

    /// Work as a member of the call, until nothing is left or `leave` returns true.
    fn work(&self, local: &mut WorkerLocal, leave: &mut dyn FnMut() -> bool) {
        // SAFETY: a member calls this, so the task is alive.
        let task = unsafe { &*self.task };
        let result = catch_unwind(AssertUnwindSafe(|| {
            while self.open() {
                // Numbers are taken several at a time while many are left, and one by one near the
                // end.
                let left = self.count.saturating_sub(self.next.load(Ordering::Relaxed));
                let grain = (left / (8 * self.threads.max(1))).clamp(1, GRAIN);
                let first = self.next.fetch_add(grain, Ordering::Relaxed);
                for number in first..self.count.min(first.saturating_add(grain)) {
                    if self.stopped() {
                        return;
                    }
                    task(number, local);
                }
                if leave() {
                    return;
                }
            }
        }));
        if let Err(panic) = result {
            self.stop.store(true, Ordering::Relaxed);
            // The kept state may be half changed.
            local.kept = None;
            let text = panic
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| panic.downcast_ref::<String>().cloned());
            let mut found = lock(&self.panic);
            found.get_or_insert(text.unwrap_or_else(|| "a panic without words".into()));
        }
    }

    fn outcome(&self) -> Result<Outcome> {
        if let Some(text) = lock(&self.panic).take() {
            return Err(Error::codec("pool", format!("a task panicked: {text}")));
        }
        Ok(if self.stopped() {
            Outcome::Stopped
        } else {
            Outcome::Done
        })
    }
}

#[derive(Default)]
struct State {
    calls: VecDeque<Arc<Call>>,
    /// The number of workers, and of those that sleep.
    workers: usize,
    asleep: usize,
    /// The number of threads that work, callers' included.
    busy: usize,
    closing: bool,
}

struct Pool {
    /// The generation of the process: its number may have been that of an ancestor.
    owner: u32,
    processors: usize,
    state: Mutex<State>,
    wake: Condvar,
    /// The number of calls so far, for workers that do not sleep yet.
    submitted: AtomicUsize,
    /// The number of calls without a member.
    starved: AtomicUsize,
}

static CURRENT: AtomicPtr<Pool> = AtomicPtr::new(std::ptr::null_mut());

thread_local! {
    /// Whether this thread is inside a task.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// What callers' threads keep: one entry for each nested call.
    static LOCAL: RefCell<Vec<WorkerLocal>> = const { RefCell::new(Vec::new()) };
}

/// Make this thread's variables while there is memory: the C library ends the process without it.
pub fn prepare() {
    put_local(take_local());
}

/// Return the number of processors that this process may use, at least one.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

/// Call `task` once for each number below `count`, on up to `threads` threads at once.
///
/// `poll` is called on the caller's thread about every 20 ms (between two tasks, if they are brief
/// or there is one thread) and stops the call by returning true; numbers not taken by then are
/// skipped. When this returns, no task runs any more. A panic of a task is an error.
pub fn run(
    count: usize,
    threads: usize,
    tasks: Tasks,
    task: &Task<'_>,
    poll: &mut dyn FnMut() -> bool,
) -> Result<Outcome> {
    if count == 0 {
        return Ok(Outcome::Done);
    }
    let threads = threads.clamp(1, count);
    if INSIDE.with(Cell::get) || (threads == 1 && tasks == Tasks::Brief) {
        return inline(count, task, poll);
    }
    let works = tasks == Tasks::Brief;
    let call = Arc::new(Call::new(task, count, threads, usize::from(works)));
    let Some(pool) = Pool::submit(&call, works) else {
        return inline(count, task, poll);
    };
    // The drop waits for the members even if `poll` panics.
    let caller = Caller {
        pool,
        call: &call,
        works,
    };
    let mut look = || {
        // `poll` may run signal handlers that fork. The child has no members to wait for, and must
        // not take locks.
        let stop = poll();
        if generation() != pool.owner {
            call.stop.store(true, Ordering::Relaxed);
            return true;
        }
        if stop {
            call.stop.store(true, Ordering::Relaxed);
        }
        stop
    };
    if works {
        let mut due = Instant::now() + LOOK;
        with_local(&call, |local| {
            call.work(local, &mut || {
                if Instant::now() < due {
                    return false;
                }
                let stop = look();
                due = Instant::now() + LOOK;
                stop
            });
        });
    }
    if !caller.forked() {
        caller.wait(&mut look);
    }
    if caller.forked() {
        // This is the child's copy of a call that continues in the parent.
        std::mem::forget(caller);
        return Err(Error::codec("pool", "the process forked during the call"));
    }
    drop(caller);
    call.outcome()
}

/// End idle threads now and the others when their work is done. The next call starts new ones.
pub fn shutdown() {
    let pool = CURRENT.swap(std::ptr::null_mut(), Ordering::AcqRel);
    // SAFETY: pools are never freed.
    if let Some(pool) = unsafe { pool.as_ref() } {
        if pool.owner == generation() {
            lock(&pool.state).closing = true;
            pool.submitted.fetch_add(1, Ordering::Release);
            pool.wake.notify_all();
        }
    }
}

/// Call `f` with what the calling thread keeps, outside of a call. Calls made meanwhile get other
/// state.
pub fn kept<T: Any + Default + Send, R>(f: impl FnOnce(&mut T) -> R) -> R {
    let mut local = take_local();
    let result = f(local.kept());
    put_local(local);
    result
}

/// Run on this thread alone.
fn inline(count: usize, task: &Task<'_>, poll: &mut dyn FnMut() -> bool) -> Result<Outcome> {
    let call = Arc::new(Call::new(task, count, 1, 1));
    let mut looked = Instant::now();
    with_local(&call, |local| {
        call.work(local, &mut || {
            if looked.elapsed() < LOOK {
                return false;
            }
            looked = Instant::now();
            let stop = poll();
            if stop {
                call.stop.store(true, Ordering::Relaxed);
            }
            stop
        });
    });
    call.outcome()
}

/// Call `f` with what this thread keeps; inside a task, with other state.
fn with_local(call: &Arc<Call>, f: impl FnOnce(&mut WorkerLocal)) {
    let mut local = take_local();
    local.call = Some(call.clone());
    let before = INSIDE.with(|inside| inside.replace(true));
    f(&mut local);
    INSIDE.with(|inside| inside.set(before));
    local.call = None;
    put_local(local);
}

fn take_local() -> WorkerLocal {
    let last = LOCAL.with(|locals| locals.try_borrow_mut().ok()?.pop());
    last.unwrap_or_default()
}

fn put_local(local: WorkerLocal) {
    if local.kept.is_some() {
        LOCAL.with(|locals| {
            if let Ok(mut locals) = locals.try_borrow_mut() {
                locals.push(local);
            }
        });
    }
}

/// A call in a pool; its drop waits for the members.
struct Caller<'a> {
    pool: &'static Pool,
    call: &'a Arc<Call>,
    works: bool,
}

impl Caller<'_> {
    fn forked(&self) -> bool {
        generation() != self.pool.owner
    }

    /// Wait until all is done and no other member is left, and poll regularly.
    fn wait(&self, look: &mut dyn FnMut() -> bool) {
        let own = usize::from(self.works);
        spin_while(|| self.call.open() || self.call.members() > own);
        let (mut stopped, mut alone) = (false, 0);
        let mut state = lock(&self.pool.state);
        while self.call.open() || self.call.members() > own {
            let (next, time) = self
                .call
                .left
                .wait_timeout(state, LOOK)
                .unwrap_or_else(PoisonError::into_inner);
            state = next;
            if time.timed_out() && !stopped {
                drop(state);
                stopped = look();
                if self.forked() {
                    return;
                }
                state = lock(&self.pool.state);
                alone = if self.call.members() == 0 {
                    alone + 1
                } else {
                    0
                };
                if alone == PATIENCE && !state.closing {
                    alone = 0;
                    self.pool.hire(&mut state);
                }
            }
        }
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if self.forked() {
            return;
        }
        if self.call.open() {
            self.call.stop.store(true, Ordering::Relaxed);
        }
        self.wait(&mut || false);
        let mut state = lock(&self.pool.state);
        state.calls.retain(|call| !Arc::ptr_eq(call, self.call));
        if self.works {
            self.call.members.fetch_sub(1, Ordering::Release);
            state.busy -= 1;
        }
        self.pool.count_starved(&state);
        // A processor is free now, and another call may need it.
        if self.works && state.asleep > 0 && state.calls.iter().any(|call| call.open()) {
            self.pool.wake.notify_one();
        }
    }
}

impl Pool {
    /// Return the pool of this process.
    fn current() -> &'static Pool {
        let owner = generation();
        loop {
            let found = CURRENT.load(Ordering::Acquire);
            // SAFETY: pools are never freed.
            if let Some(pool) = unsafe { found.as_ref() } {
                if pool.owner == owner {
                    return pool;
                }
            }
            let made = Box::into_raw(Box::new(Pool {
                owner,
                processors: processors(),
                state: Mutex::default(),
                wake: Condvar::new(),
                submitted: AtomicUsize::new(0),
                starved: AtomicUsize::new(0),
            }));
            let swapped =
                CURRENT.compare_exchange(found, made, Ordering::AcqRel, Ordering::Acquire);
            if swapped.is_err() {
                // SAFETY: the pool was made above, and no other thread has seen it.
                drop(unsafe { Box::from_raw(made) });
            }
        }
    }

    /// Queue a call for the workers. Return `None` if there are none and none can be started.
    fn submit(call: &Arc<Call>, works: bool) -> Option<&'static Pool> {
        loop {
            let pool = Pool::current();
            let mut state = lock(&pool.state);
            if state.closing {
                // The pool has been replaced by now; the next iteration finds the new one.
                continue;
            }
            // One worker less is needed if the caller's thread works along.
            let wanted = call.threads - usize::from(works);
            while state.workers < wanted && pool.hire(&mut state) {}
            if state.workers == 0 {
                return None;
            }
            state.busy += usize::from(works);
            state.calls.push_back(call.clone());
            pool.count_starved(&state);
            pool.submitted.fetch_add(1, Ordering::Release);
            let sleeper = state.asleep > 0;
            drop(state);
            // The woken worker wakes the next one, so that the caller can start.
            if sleeper {
                pool.wake.notify_one();
            }
            return Some(pool);
        }
    }

    /// Start a worker; return whether there is one more.
    fn hire(&'static self, state: &mut State) -> bool {
        let name = format!("fastzarr-{}", state.workers);
        let begun = memory::spare()
            && thread::Builder::new()
                .name(name)
                .spawn(move || self.serve())
                .is_ok();
        state.workers += usize::from(begun);
        begun
    }

    fn count_starved(&self, state: &State) {
        let starved = state
            .calls
            .iter()
            .filter(|call| call.members() == 0 && call.open())
            .count();
        self.starved.store(starved, Ordering::Relaxed);
    }

    /// Return the place of the call that a free worker should join.
    fn choose(&self, state: &State) -> Option<usize> {
        let asked = state.calls.iter().map(|call| call.threads).max();
        let room = state.busy < self.processors.max(asked.unwrap_or(0));
        (0..state.calls.len())
            .filter(|&i| {
                let call = &state.calls[i];
                let members = call.members();
                // A call without members never waits for a free processor.
                call.open() && members < call.threads && (room || members == 0)
            })
            .min_by_key(|&i| state.calls[i].members())
    }

    /// Run as a worker.
    fn serve(&self) {
        let mut local = WorkerLocal::default();
        INSIDE.with(|inside| inside.set(true));
        let mut state = lock(&self.state);
        loop {
            if let Some(at) = self.choose(&state) {
                let call = state.calls.remove(at).unwrap_or_else(|| unreachable!());
                call.members.fetch_add(1, Ordering::Relaxed);
                state.busy += 1;
                // It goes to the end of the queue, so that calls with equally many members take
                // turns.
                state.calls.push_back(call.clone());
                self.count_starved(&state);
                let more = state.asleep > 0 && self.choose(&state).is_some();
                drop(state);
                if more {
                    self.wake.notify_one();
                }
                state = self.work(&call, &mut local);
                continue;
            }
            if state.closing {
                state.workers -= 1;
                return;
            }
            let seen = self.submitted.load(Ordering::Acquire);
            drop(state);
            spin_while(|| self.submitted.load(Ordering::Acquire) == seen);
            state = lock(&self.state);
            if self.submitted.load(Ordering::Acquire) != seen {
                continue;
            }
            state.asleep += 1;
            if local.kept.is_some() {
                let woken = self.wake.wait_timeout(state, KEEP);
                let (next, time) = woken.unwrap_or_else(PoisonError::into_inner);
                state = next;
                if time.timed_out() {
                    local.kept = None;
                }
            } else {
                let woken = self.wake.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
            }
            state.asleep -= 1;
        }
    }

    /// Work for a call that was joined, and leave it.
    fn work(&self, call: &Arc<Call>, local: &mut WorkerLocal) -> MutexGuard<'_, State> {
        local.call = Some(call.clone());
        let begin = Instant::now();
        call.work(local, &mut || {
            self.starved.load(Ordering::Relaxed) > 0 && begin.elapsed() > TURN
        });
        local.call = None;
        let mut state = lock(&self.state);
        state.busy -= 1;
        if call.members.fetch_sub(1, Ordering::Release) <= 2 {
            // The remaining member may be the caller's thread.
            call.left.notify_all();
        }
        self.count_starved(&state);
        state
    }
}

mod waiting;

#[cfg(test)]
mod tests;

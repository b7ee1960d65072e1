//! Objects that are asked for many together, by the threads that need them.
//!
//! * One thread at a time asks, or takes some of what it is told, while the others read those that have
//!   been taken. What a store tells may be an iterator, which looks for each value when it is taken.
//! * If those that are asked for together fail, nothing is known of any, and each is asked for by itself.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyIterator;

use super::found::{short, Come, PyChunks, Told};
use super::raised::raising;
use crate::coming::Coming;
use crate::error::Result;
use crate::job::guard;
use crate::memory;
use crate::plan::Plan;

/// Several threads take so many parts of all objects, and no fewer objects than these at a time.
const PARTS: usize = 8;
const FEWEST: usize = 32;

/// The objects that were asked for together and are not taken yet.
pub(super) struct Together {
    /// The most that are asked for at once.
    most: usize,
    /// Whether several threads take them.
    shared: bool,
    place: Mutex<Place>,
    coming: Coming<Come>,
}

#[derive(Default)]
struct Place {
    /// The number of the next object.
    next: usize,
    /// The objects before this number are asked for one by one, because all together have failed.
    alone: usize,
    told: Option<Source>,
}

/// What is told of the objects before a number.
struct Source {
    values: Py<PyIterator>,
    told: Told,
    last: usize,
}

impl Together {
    pub(super) fn new(most: usize, threads: usize) -> Together {
        Together {
            most,
            shared: threads > 1,
            place: Mutex::default(),
            coming: Coming::new(),
        }
    }

    /// Return one of the objects that come next: that of number `wanted` if there is a choice.
    pub(super) fn next(
        &self,
        chunks: &PyChunks,
        plan: &Plan,
        wanted: usize,
    ) -> Result<Option<Come>> {
        let (mut step, mut few) = (plan.size(), 0);
        if self.shared {
            step = (step / PARTS).max(FEWEST).min(self.most);
            few = step / 2;
        }
        // They are in order, and those that other threads want are not far from the first.
        self.coming.next(
            few,
            |ready| {
                let at = ready.binary_search_by_key(&wanted, |(number, _)| *number);
                at.unwrap_or(0)
            },
            || self.more(chunks, plan, step),
        )
    }

    /// Return the next objects, none at the end.
    fn more(&self, chunks: &PyChunks, plan: &Plan, step: usize) -> Result<Vec<Come>> {
        let mut place = guard(&self.place);
        if place.next < plan.size() && place.next >= place.alone {
            let last = match &place.told {
                Some(source) => source.last,
                None => plan.size().min(place.next + self.most),
            };
            let calls = &chunks.calls;
            match calls.call("fetch", |py| place.take(py, chunks, plan, last, step)) {
                Ok(come) => return Ok(come),
                Err(error) if calls.has_ended() => return Err(error),
                Err(_) => {
                    calls.forget();
                    place.alone = last;
                }
            }
        }
        if place.next >= plan.size() {
            return Ok(Vec::new());
        }
        let number = place.next;
        place.next += 1;
        let found = chunks.get(&plan.chunk(number));
        Ok(Vec::from([(number, found)]))
    }
}

impl Place {
    /// Take some of what is told, after asking for the objects before `last` if nothing is.
    fn take(
        &mut self,
        py: Python<'_>,
        chunks: &PyChunks,
        plan: &Plan,
        last: usize,
        step: usize,
    ) -> PyResult<Vec<Come>> {
        let source = match self.told.take() {
            Some(source) => source,
            None => {
                let (told, values) = chunks.ask(py, plan, self.next..last)?;
                let values = values.unbind();
                Source { values, told, last }
            }
        };
        let mut values = source.values.bind(py).clone();
        let until = last.min(self.next.saturating_add(step));
        let mut come = Vec::new();
        for number in self.next..until {
            let value = values.next().ok_or_else(short)??;
            let found = chunks.found(&source.told, &value, &plan.chunk(number))?;
            memory::push(&mut come, (number, Ok(found)), "fetch").map_err(raising)?;
        }
        self.next = until;
        if until < last {
            self.told = Some(source);
        }
        Ok(come)
    }
}

//! Which hotels are in memory.
//!
//! # Invariants
//!
//! * A city's hotels are built by the first who asks for them, once.
//! * Where the world is larger than what may be in memory, cities that the seed alone
//!   describes are dropped again, the oldest first. One that something was written to
//!   is [pinned](Shelves::pin) and stays.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::block::Block;
use crate::{
    night::Day,
    places::{Atlas, CityIndex},
    property::World,
};

/// The hotels of one city.
#[derive(Debug)]
pub(crate) struct Shelf {
    blocks: Box<[RwLock<Block>]>,
}

/// All cities.
#[derive(Debug)]
pub(crate) struct Shelves {
    slots: Box<[Mutex<Slot>]>,
    /// Cities that may be dropped, the oldest first.
    droppable: Mutex<VecDeque<CityIndex>>,
    /// Hotels in memory.
    resident: AtomicUsize,
}

#[derive(Debug, Default)]
struct Slot {
    shelf: Option<Arc<Shelf>>,
    pinned: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shelf {
    fn build(world: &World, atlas: &Atlas, city: CityIndex, first: i64) -> Self {
        let end = first + world.size().nights() as i64;
        let count = world.property_count(atlas, city);
        // Most cities of a small world have no hotel.
        let end = if count == 0 { first } else { end };
        let days: Vec<_> = (first..end).map(Day::numbered).collect();
        let blocks = (0..count).map(|index| {
            let property = world.property(atlas, city, index);
            RwLock::new(Block::build(world, atlas, property, &days))
        });
        Self {
            blocks: blocks.collect(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Looks at one hotel as of the day `first`.
    pub(crate) fn read(
        &self,
        index: usize,
        (world, atlas): (&World, &Atlas),
        first: i64,
    ) -> Option<RwLockReadGuard<'_, Block>> {
        let slot = self.blocks.get(index)?;
        let block = slot.read().unwrap_or_else(PoisonError::into_inner);
        if block.first >= first {
            return Some(block);
        }
        drop(block);
        drop(self.write(index, (world, atlas), first));
        Some(slot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes one hotel as of the day `first` for writing.
    pub(crate) fn write(
        &self,
        index: usize,
        (world, atlas): (&World, &Atlas),
        first: i64,
    ) -> Option<RwLockWriteGuard<'_, Block>> {
        let slot = self.blocks.get(index)?;
        let mut block = slot.write().unwrap_or_else(PoisonError::into_inner);
        block.roll(world, atlas, first);
        Some(block)
    }
}

impl Shelves {
    pub(crate) fn new(cities: usize) -> Self {
        Self {
            slots: (0..cities).map(|_| Mutex::default()).collect(),
            droppable: Mutex::default(),
            resident: AtomicUsize::new(0),
        }
    }

    /// Returns the hotels of a city; `first` is the first day of those that have to
    /// be built.
    pub(crate) fn city(
        &self,
        world: &World,
        atlas: &Atlas,
        city: CityIndex,
        first: i64,
    ) -> Arc<Shelf> {
        let mut slot = lock(&self.slots[city.position()]);
        if let Some(shelf) = &slot.shelf {
            return shelf.clone();
        }
        let shelf = Arc::new(Shelf::build(world, atlas, city, first));
        slot.shelf = Some(shelf.clone());
        drop(slot);
        self.resident.fetch_add(shelf.len(), Ordering::Relaxed);
        if world.size().resident() != usize::MAX {
            lock(&self.droppable).push_back(city);
            self.drop_oldest(world.size().resident());
        }
        shelf
    }

    /// The same for somebody who is going to write: the city stays in memory.
    pub(crate) fn pin(
        &self,
        world: &World,
        atlas: &Atlas,
        city: CityIndex,
        first: i64,
    ) -> Arc<Shelf> {
        loop {
            let shelf = self.city(world, atlas, city, first);
            let mut slot = lock(&self.slots[city.position()]);
            // It may have been dropped between the two.
            let same = |kept: &Arc<Shelf>| Arc::ptr_eq(kept, &shelf);
            if slot.shelf.as_ref().is_some_and(same) {
                slot.pinned = true;
                return shelf;
            }
        }
    }

    fn drop_oldest(&self, most: usize) {
        while self.resident.load(Ordering::Relaxed) > most {
            let Some(city) = lock(&self.droppable).pop_front() else {
                return;
            };
            let mut slot = lock(&self.slots[city.position()]);
            if !slot.pinned
                && let Some(shelf) = slot.shelf.take()
            {
                self.resident.fetch_sub(shelf.len(), Ordering::Relaxed);
            }
        }
    }

    /// Returns the cities that something was written to.
    pub(super) fn pinned(&self) -> Vec<Arc<Shelf>> {
        let slots = self.slots.iter().map(lock);
        slots
            .filter(|slot| slot.pinned)
            .filter_map(|slot| slot.shelf.clone())
            .collect()
    }

    /// Returns how many hotels are in memory, and their room types times nights.
    pub(crate) fn count(&self) -> (usize, usize) {
        let shelves = self
            .slots
            .iter()
            .filter_map(|slot| lock(slot).shelf.clone());
        shelves.fold((0, 0), |count, shelf| {
            let cells = |block: &RwLock<Block>| {
                block
                    .read()
                    .unwrap_or_else(PoisonError::into_inner)
                    .rates
                    .len()
            };
            let cells: usize = shelf.blocks.iter().map(cells).sum();
            (count.0 + shelf.len(), count.1 + cells)
        })
    }

    /// Returns how many hotels are in memory.
    pub(super) fn resident(&self) -> usize {
        self.resident.load(Ordering::Relaxed)
    }
}

//! What all faults share: who there is to hit ([`Terrain`]), what may be done to them when ([`Standing`]: the declared fault model), how long, and the
//! [`Director`] that carries a plan out.

mod director;
mod duration;
mod mix;
mod standing;
mod terrain;

pub use director::{Director, WHOEVER};
pub use duration::{aligned_ms, outage_ms};
pub use mix::{Share, draw};
pub use standing::{Effect, Standing, within_model};
pub use terrain::{Group, Terrain};

//! data_recorder

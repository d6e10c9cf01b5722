//! clock_service

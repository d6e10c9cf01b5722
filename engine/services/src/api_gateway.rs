//! api_gateway

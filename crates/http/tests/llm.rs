//! Reading the bodies of model APIs, and the layer for their clients.
#![cfg(feature = "llm-tower")]

mod llm {
    mod answers;
    mod data;
    mod errors;
    mod estimates;
    mod layer;
}

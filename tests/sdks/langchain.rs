//! LangChain's package for OpenAI.

use crate::{
    expected::{chat, text},
    python::python,
    world::World,
};

#[tokio::test]
async fn the_package_for_python() {
    let world = World::start(2).await;
    let got = world.run(python("with_langchain.py").await).await;
    assert_eq!(got["chat"], chat());
    assert_eq!(got["stream"]["text"], text());
    assert!(got["stream"]["chunks"].as_u64().unwrap() > 3);
    assert_eq!(world.attempts("sim-1"), 2);
}

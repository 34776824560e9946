use super::*;
use crate::store::contract;

async fn check_contract(name: &str, case: contract::Case) {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::new();
    let store = Sqlite::open(folder.path(), &supervisor).unwrap();
    println!("{name}");
    case(Arc::new(store)).await;
}

#[tokio::test]
async fn keeps_the_contract() {
    for (name, case) in contract::CASES {
        check_contract(name, *case).await;
    }
}

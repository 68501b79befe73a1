//! Judges an API server with kube-rs: client, watcher and an operator that reconciles.
//! Takes any KUBECONFIG of an administrator, works in a random namespace and API group and removes both.

mod operator;

use std::{error::Error, future::Future, process::ExitCode, time::Duration, time::Instant};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    discovery,
    runtime::{
        wait::{await_condition, conditions},
        watcher,
    },
};
use serde_json::json;

const STEP_TIMEOUT: Duration = Duration::from_secs(30);

pub type Outcome = Result<(), Box<dyn Error>>;

/// What every check gets: a client, and a namespace and an API group of its own.
pub struct Suite {
    client: Client,
    namespace: String,
    group: String,
}

impl Suite {
    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

/// An expectation that does not hold is an error.
pub fn expect(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(what().into()) }
}

fn is_refused<T>(result: &kube::Result<T>, code: u16) -> bool {
    matches!(result, Err(kube::Error::Api(status)) if status.code == code)
}

fn config_map(name: &str, data: serde_json::Value) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).expect("a ConfigMap")
}

async fn writes(s: &Suite) -> Outcome {
    let api = s.config_maps();
    let created = api
        .create(
            &PostParams::default(),
            &config_map("plain", json!({"key": "välue\n"})),
        )
        .await?;
    let mut changed = api.get("plain").await?;
    changed.data = Some([("key".into(), "other".into())].into());
    let replaced = api
        .replace("plain", &PostParams::default(), &changed)
        .await?;
    let stale = api.replace("plain", &PostParams::default(), &changed).await;
    let again = api
        .create(&PostParams::default(), &config_map("plain", json!({})))
        .await;
    expect(
        created.data == config_map("", json!({"key": "välue\n"})).data,
        || format!("{created:?}"),
    )?;
    expect(replaced.uid() == created.uid(), || format!("{replaced:?}"))?;
    expect(is_refused(&stale, 409), || format!("stale: {stale:?}"))?;
    expect(is_refused(&again, 409), || format!("again: {again:?}"))?;
    let uid = created.uid().unwrap_or_default();
    api.delete("plain", &DeleteParams::default()).await?;
    tokio::time::timeout(
        STEP_TIMEOUT,
        await_condition(api.clone(), "plain", conditions::is_deleted(&uid)),
    )
    .await??;
    let gone = api.get("plain").await;
    expect(
        is_refused(&gone, 404) && api.get_opt("plain").await?.is_none(),
        || format!("gone: {gone:?}"),
    )
}

async fn patches(s: &Suite) -> Outcome {
    let api = s.config_maps();
    let applied = |value: &str| {
        Patch::Apply(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"a": value}}),
        )
    };
    api.patch("applied", &PatchParams::apply("one"), &applied("1"))
        .await?;
    let conflict = api
        .patch("applied", &PatchParams::apply("two"), &applied("2"))
        .await;
    let forced = api
        .patch("applied", &PatchParams::apply("two").force(), &applied("2"))
        .await?;
    expect(is_refused(&conflict, 409), || {
        format!("conflict: {conflict:?}")
    })?;
    expect(
        forced.data == config_map("", json!({"a": "2"})).data,
        || format!("{forced:?}"),
    )?;
    let merge = Patch::Merge(json!({"data": {"a": null, "b": "3"}}));
    let merged = api
        .patch("applied", &PatchParams::default(), &merge)
        .await?;
    expect(
        merged.data == config_map("", json!({"b": "3"})).data,
        || format!("{merged:?}"),
    )?;
    let strategic = Patch::Strategic(json!({"metadata": {"labels": {"a": "b"}}}));
    let labelled = api
        .patch_metadata("applied", &PatchParams::default(), &strategic)
        .await?;
    expect(labelled.labels().contains_key("a"), || {
        format!("{labelled:?}")
    })
}

async fn lists(s: &Suite) -> Outcome {
    let api = s.config_maps();
    for i in 0..5 {
        let mut object = config_map(&format!("page-{i}"), json!({}));
        object.labels_mut().insert("page".into(), "yes".into());
        api.create(&PostParams::default(), &object).await?;
    }
    let mut params = ListParams::default().labels("page=yes").limit(2);
    let mut names = vec![];
    loop {
        let page = api.list(&params).await?;
        names.extend(page.items.iter().map(|item| item.name_any()));
        match page.metadata.continue_ {
            Some(token) if !token.is_empty() => params = params.continue_token(&token),
            _ => break,
        }
    }
    expect(
        names == ["page-0", "page-1", "page-2", "page-3", "page-4"],
        || format!("{names:?}"),
    )?;
    let metadata = api
        .list_metadata(&ListParams::default().labels("page=yes"))
        .await?;
    expect(metadata.items.len() == 5, || format!("{metadata:?}"))?;
    api.delete_collection(
        &DeleteParams::default(),
        &ListParams::default().labels("page=yes"),
    )
    .await?;
    let left = api.list(&ListParams::default().labels("page=yes")).await?;
    expect(left.items.is_empty(), || format!("{left:?}"))
}

/// Both ways to start: a list and then a watch, or the watch streaming the list itself.
async fn watches(s: &Suite) -> Outcome {
    let api = s.config_maps();
    for (label, config) in [
        ("listed", watcher::Config::default()),
        ("streamed", watcher::Config::default().streaming_lists()),
    ] {
        let object = |name: &str| {
            let mut object = config_map(&format!("{label}-{name}"), json!({}));
            object.labels_mut().insert("watched".into(), label.into());
            object
        };
        api.create(&PostParams::default(), &object("before"))
            .await?;
        let mut stream =
            watcher::watcher(api.clone(), config.labels(&format!("watched={label}"))).boxed();
        let mut seen = vec![];
        while seen.len() < 5 {
            let event = tokio::time::timeout(STEP_TIMEOUT, stream.try_next())
                .await??
                .ok_or("the watch ended")?;
            seen.push(match event {
                watcher::Event::Init => "init".to_owned(),
                watcher::Event::InitApply(object) => format!("init {}", object.name_any()),
                watcher::Event::InitDone => {
                    api.create(&PostParams::default(), &object("after")).await?;
                    api.delete(&format!("{label}-before"), &DeleteParams::default())
                        .await?;
                    "done".to_owned()
                }
                watcher::Event::Apply(object) => format!("apply {}", object.name_any()),
                watcher::Event::Delete(object) => format!("delete {}", object.name_any()),
            });
        }
        let want = [
            "init",
            &format!("init {label}-before"),
            "done",
            &format!("apply {label}-after"),
            &format!("delete {label}-before"),
        ];
        expect(seen == want, || format!("saw {seen:?}"))?;
    }
    Ok(())
}

async fn discovers(s: &Suite) -> Outcome {
    let found = discovery::Discovery::new(s.client.clone())
        .run_aggregated()
        .await?;
    let group = found.get(&s.group).ok_or("the group is not discovered")?;
    let (resource, capabilities) = group
        .recommended_kind("Pond")
        .ok_or("the kind is not discovered")?;
    expect(
        resource.plural == "ponds" && capabilities.subresources.len() == 1,
        || format!("{resource:?} {capabilities:?}"),
    )
}

async fn define(s: &Suite) -> Outcome {
    let api: Api<CustomResourceDefinition> = Api::all(s.client.clone());
    let name = format!("ponds.{}", s.group);
    api.create(
        &PostParams::default(),
        &serde_json::from_value(operator::definition(&s.group))?,
    )
    .await?;
    let established = await_condition(api, &name, conditions::is_crd_established());
    tokio::time::timeout(STEP_TIMEOUT, established).await??;
    // Established is said a little before every part of the server serves it.
    let ponds: Api<operator::Pond> = Api::namespaced_with(
        s.client.clone(),
        &s.namespace,
        &operator::resource(&s.group),
    );
    let deadline = Instant::now() + STEP_TIMEOUT;
    while let Err(error) = ponds.list(&ListParams::default()).await {
        expect(Instant::now() < deadline, || format!("not served: {error}"))?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Runs one check and prints a line; returns whether it failed.
async fn judge(name: &str, check: impl Future<Output = Outcome>) -> bool {
    let started = Instant::now();
    match check.await {
        Ok(()) => println!("ok   {name} ({} ms)", started.elapsed().as_millis()),
        Err(error) => {
            println!("FAIL {name}: {error}");
            return true;
        }
    }
    false
}

async fn run() -> Result<usize, Box<dyn Error>> {
    let client = Client::try_default().await?;
    let random = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_nanos() as u64;
    let namespace = format!("conformance-{random:x}");
    let s = Suite {
        client: client.clone(),
        group: format!("{namespace}.example.com"),
        namespace: namespace.clone(),
    };
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let home = serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
    namespaces.create(&PostParams::default(), &home).await?;
    let failed = [
        judge(
            "ConfigMap: create, get, replace, stale replace, delete",
            writes(&s),
        )
        .await,
        judge(
            "patch: apply with conflict and force, merge, metadata only",
            patches(&s),
        )
        .await,
        judge(
            "list: pages, metadata only, a collection deleted by label",
            lists(&s),
        )
        .await,
        judge("watcher: from a list and from a streamed list", watches(&s)).await,
        judge("definition: established and served", define(&s)).await,
        judge("discovery: aggregated", discovers(&s)).await,
        judge(
            "operator: finalizer, children, status, clean-up",
            operator::reconciles(&s),
        )
        .await,
    ];
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let _ = definitions
        .delete(&format!("ponds.{}", s.group), &DeleteParams::default())
        .await;
    let _ = namespaces
        .delete(&s.namespace, &DeleteParams::default())
        .await;
    let count = failed.iter().filter(|failed| **failed).count();
    println!("kube-rs: {} checks, {count} failed", failed.len());
    Ok(count)
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            println!("FAIL set up: {error}");
            ExitCode::FAILURE
        }
    }
}

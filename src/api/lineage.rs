//! `GET /api/v1/lineage/{id}`: where one credential came from, and what came from it.
//!
//! The ledger owns what is known and answers between two commits; nothing of it is copied for those who ask.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::oneshot;

use super::App;
use super::error::Refusal;
use crate::ledger::{Answer, Question};

/// Longer than any id, ARN or path that a vendor gives.
const NAME_BYTES_MAX: usize = 512;
/// Longest wait for the ledger, which answers within a second unless the disk refuses.
const WAIT: Duration = Duration::from_secs(10);

/// The tree of one credential; of several that answer to the name all are shown, and none is taken for another.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    const HINT: &str = "give an access key, the id or hash of a token, a lease, or a session's principal";
    let Path(asked) = id.map_err(|_| Refusal::Unknown("that is no name of a credential".to_owned(), HINT))?;
    // Every known name is compared with it.
    if asked.len() > NAME_BYTES_MAX {
        return Err(Refusal::Unknown(format!("a name of a credential has at most {NAME_BYTES_MAX} bytes"), HINT));
    }
    let (answer, answered) = oneshot::channel();
    app.questions.try_send(Question { asked: asked.clone(), answer }).map_err(|_| Refusal::Busy)?;
    match tokio::time::timeout(WAIT, answered).await {
        Ok(Ok(Answer::Tree(tree))) => Ok(Json(tree).into_response()),
        Ok(Ok(Answer::Several(several))) => {
            let message = format!("{} credentials answer to {asked:?}", several.len());
            let hint = "ask for one of `candidates` by its `text`";
            let body = json!({ "code": "several", "message": message, "hint": hint, "candidates": several });
            Ok((StatusCode::CONFLICT, Json(body)).into_response())
        }
        Ok(Ok(Answer::None { near })) => {
            let message = format!("no record tells of {asked:?}");
            let body = json!({ "code": "not_found", "message": message, "hint": HINT, "near": near });
            Ok((StatusCode::NOT_FOUND, Json(body)).into_response())
        }
        Ok(Ok(Answer::NotKept)) => {
            let hint = "set `lineage: {enabled: true}` in the configuration and start again";
            Err(Refusal::Unknown("credentials are not followed".to_owned(), hint))
        }
        Ok(Err(_)) | Err(_) => Err(Refusal::Busy),
    }
}

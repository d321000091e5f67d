// Uses the client that openapi-fetch makes of the generated types: node drive.js URL KEY FILE. Prints what it saw.
import { openAsBlob } from "node:fs";
import { setTimeout } from "node:timers/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const [baseUrl, key, file] = process.argv.slice(2) as [string, string, string];
const client = createClient<paths>({ baseUrl, headers: { "X-API-Key": key } });

function checked<T>(answer: { data?: T; error?: components["schemas"]["Problem"] | undefined }): T {
  if (answer.data === undefined) {
    throw new Error(JSON.stringify(answer.error));
  }
  return answer.data;
}

const form = new FormData();
form.append("video", await openAsBlob(file), "clip.mp4");
form.append("external_id", "typescript");
const video = checked(
  await client.POST("/api/v1/videos/upload", {
    params: { header: { "Idempotency-Key": crypto.randomUUID() } },
    body: { video: "", external_id: "typescript" },
    bodySerializer: () => form,
  }),
);

const request = { resolution: "240p", preset: "ultrafast", priority: "high" } as const;
const accepted = checked(
  await client.POST("/api/v1/videos/{video_id}/transcode", { params: { path: { video_id: video.id } }, body: request }),
);
if (!("links" in accepted)) {
  throw new Error("a plan and no job");
}
const id = { params: { path: { job_id: accepted.id } } };
let job: components["schemas"]["JobDocument"] = accepted;
while (!["completed", "failed", "cancelled"].includes(job.state)) {
  await setTimeout(100);
  job = checked(await client.GET("/api/v1/jobs/{job_id}", id));
}
const outputs = checked(await client.GET("/api/v1/jobs/{job_id}/outputs", id));
const deleted = await client.DELETE("/api/v1/videos/{video_id}", { params: { path: { video_id: video.id } } });
const after = await client.GET("/api/v1/videos/{video_id}", { params: { path: { video_id: video.id } } });
console.log(
  JSON.stringify({
    external_id: video.external_id,
    state: job.state,
    outputs: outputs.outputs.map((output) => output.type),
    deleted: deleted.response.status,
    after: after.error?.code,
  }),
);

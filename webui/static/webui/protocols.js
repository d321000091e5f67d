// How a file gets into the store: in parts that are sent to the store itself, or by tus through the server where browsers
// cannot reach the store. The server says which (`data-protocol`). Both resume where they were, also after a reload.

import { AwsS3, Tus } from "./vendor/uppy.min.mjs";
import { api, data, Refused } from "./page.js";

const RETRY_DELAYS = [0, 1000, 3000, 5000, 10000, 10000];
const PARALLEL_PARTS = 6;
const PARALLEL_FILES = 3;
const BATCH = 50; // parts whose URLs are requested at a time
const URL_MS = 30 * 60 * 1000; // URLs are used for so long; they work for an hour

const urlOf = (id) => `${data.uploads}/${id}`;

// ---- parts ---------------------------------------------------------------------------------------------------------

class PartUrls {
  #urls = new Map();
  #requested = Promise.resolve();

  constructor(upload) {
    this.id = upload.id;
    this.count = upload.part_count;
    this.#add(upload.parts);
  }

  // Returns the URL of a part. Each is used once, so that one that has expired is not used again.
  take(number) {
    this.#requested = this.#requested.catch(() => {}).then(() => this.#request(number));
    return this.#requested;
  }

  async #request(number) {
    let found = this.#urls.get(number);
    if (!found || Date.now() - found.at > URL_MS) {
      const last = Math.min(number + BATCH - 1, this.count);
      const numbers = Array.from({ length: last - number + 1 }, (_, index) => number + index);
      this.#add((await api("POST", `${urlOf(this.id)}/parts`, { numbers })).parts);
      found = this.#urls.get(number);
    }
    this.#urls.delete(number);
    return found.url;
  }

  #add(parts) {
    for (const part of parts) this.#urls.set(part.number, { url: part.url, at: Date.now() });
  }
}

class Parts {
  #sizes = new WeakMap(); // of the parts of a file's data
  #urls = new Map();

  constructor(uppy) {
    this.uppy = uppy;
    uppy.use(AwsS3, {
      limit: PARALLEL_PARTS,
      retryDelays: RETRY_DELAYS,
      shouldUseMultipart: true,
      getChunkSize: (content) => this.#sizes.get(content),
      createMultipartUpload: () => Promise.reject(new Error("The upload was opened before.")),
      listParts: (_, { uploadId, signal }) => this.#received(uploadId, signal),
      signPart: async (_, { uploadId, partNumber }) => ({ method: "PUT", url: await this.#urls.get(uploadId).take(partNumber) }),
      completeMultipartUpload: (_, { uploadId }) => api("POST", `${urlOf(uploadId)}/complete`, {}),
      abortMultipartUpload: (_, { uploadId }) => api("DELETE", urlOf(uploadId)),
    });
  }

  // Opens an upload, or continues the one with this id. Returns its id; `attach` makes it that of a file in Uppy.
  async open(file, transcode, id) {
    const request = { filename: file.name, size: file.size, ...(transcode ? { transcode } : {}) };
    const upload = id ? await api("GET", urlOf(id)) : await api("POST", data.uploads, request);
    this.#sizes.set(file, upload.part_size);
    this.#urls.set(upload.id, new PartUrls(upload));
    return upload.id;
  }

  attach(fileId, id) {
    this.uppy.setFileState(fileId, { s3Multipart: { key: id, uploadId: id } });
  }

  async finished(_, response) {
    return response.body;
  }

  async #received(id, signal) {
    const upload = await api("GET", urlOf(id), undefined, { signal });
    if (upload.state === "open") {
      return upload.received_parts.map((part) => ({ PartNumber: part.number, Size: part.size, ETag: part.etag }));
    }
    if (!upload.completed_at || upload.state === "failed") throw over(upload);
    // It was completed, and the response got lost: completing it again responds with the same.
    return Array.from({ length: upload.part_count }, (_, index) => ({ PartNumber: index + 1, ETag: "" }));
  }
}

function over(upload) {
  return new Refused(409, { detail: upload.error?.detail || `This upload is ${upload.state}. Choose the file again.` });
}

// ---- tus -----------------------------------------------------------------------------------------------------------

class ByTus {
  constructor(uppy) {
    this.uppy = uppy;
    uppy.use(Tus, {
      endpoint: `${data.uploads}/tus`,
      limit: PARALLEL_FILES,
      retryDelays: RETRY_DELAYS,
      storeFingerprintForResuming: false, // `uploads.js` remembers uploads
      headers: { "X-CSRFToken": data.csrf },
      onSuccess: null,
    });
  }

  async open(_file, _transcode, id) {
    if (!id) return null; // tus opens it, and says its URL
    const upload = await api("GET", urlOf(id));
    if (upload.state !== "open") throw over(upload);
    return id;
  }

  attach(fileId, id) {
    if (id) this.uppy.setFileState(fileId, { tus: { uploadUrl: new URL(`${data.uploads}/tus/${id}`, location.href).href } });
  }

  async finished(_, response) {
    return api("GET", urlOf(idOf(response.uploadURL)));
  }
}

function idOf(url) {
  return new URL(url, location.href).pathname.split("/").at(-1);
}

// The id of a file's upload, once there is one.
export function uploadIdOf(file) {
  return file.s3Multipart?.uploadId || (file.tus?.uploadUrl ? idOf(file.tus.uploadUrl) : null);
}

export function protocolFor(uppy) {
  return data.protocol === "tus" ? new ByTus(uppy) : new Parts(uppy);
}

// Tells whether the same request may work later: the connection is cut, or the server cannot respond.
export function isPassing(error) {
  if (error instanceof Refused) return error.retryable;
  if (error instanceof TypeError || error.isNetworkError) return true; // fetch reports a cut connection by a TypeError
  const status = error.source?.status ?? error.originalResponse?.getStatus() ?? 0;
  return status === 0 || status === 408 || status === 429 || status >= 500;
}

export function reasonOf(error) {
  if (error.source?.status) return `The store refused a part (${error.source.status}).`;
  const text = error.originalResponse?.getBody();
  try {
    return JSON.parse(text).detail || error.message;
  } catch {
    return error.message;
  }
}

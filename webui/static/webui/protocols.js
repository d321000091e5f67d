// How files get into the store.

import { XHRUpload } from "./vendor/uppy.min.mjs";

export function useProtocol(uppy, data) {
  uppy.use(XHRUpload, {
    endpoint: data.uploads,
    fieldName: "video",
    allowedMetaFields: [],
    limit: 3,
    timeout: 0,
    headers: { Accept: "application/json", "X-CSRFToken": data.csrf },
  });
}

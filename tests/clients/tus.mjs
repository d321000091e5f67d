// Uploads a file with tus-js-client: node tus.mjs ENDPOINT KEY FILE [OPTIONS]. Prints the URL of the upload, and how
// often the client tried again.
import { createReadStream } from "node:fs";
import { Upload } from "tus-js-client";

const [endpoint, key, file, options = "{}"] = process.argv.slice(2);
let retries = 0;
const upload = new Upload(createReadStream(file), {
  endpoint,
  headers: { "X-API-Key": key },
  metadata: { filename: "clip.mp4", filetype: "video/mp4", external_id: "tus-js" },
  onShouldRetry: (error) => {
    retries += 1;
    const status = error.originalResponse?.getStatus() ?? 0;
    return status < 400 || status >= 500 || status === 409 || status === 423; // as it does by default
  },
  onError: (error) => {
    console.error(error.toString());
    process.exit(1);
  },
  onSuccess: () => console.log(JSON.stringify({ url: upload.url, retries })),
  ...JSON.parse(options),
});
upload.start();

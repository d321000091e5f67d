// The uploads that this browser has not finished: by their ids, with what tells their files from others.

const KEY = "vodmill-uploads";

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) || {};
  } catch {
    return {}; // there is no such storage in this browser, or somebody else wrote there
  }
}

function write(all) {
  try {
    localStorage.setItem(KEY, JSON.stringify(all));
  } catch {
    // without it, uploads are not resumed after a reload
  }
}

export function remembered() {
  return Object.entries(read()).map(([id, file]) => ({ id, ...file }));
}

export function remember(id, file) {
  const { name, size, lastModified } = file;
  write({ ...read(), [id]: { name, size, lastModified } });
}

export function forget(id) {
  const { [id]: _, ...others } = read();
  write(others);
}

export function isSameFile(file, other) {
  return file.name === other.name && file.size === other.size && file.lastModified === other.lastModified;
}

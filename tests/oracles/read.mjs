// Reads a published folder with parsers of other people, and prints what they found: node read.mjs FOLDER
// mp4box.js reads the init segment and the segments of each rendition, hls-parser the playlists, mpd-parser the MPD.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import HLS from "hls-parser";
import { createFile } from "mp4box";
import { parse as parseMpd } from "mpd-parser";

const folder = process.argv[2];
const text = (...names) => readFileSync(join(folder, ...names), "utf8");
HLS.setOptions({ strictMode: true });

function master() {
  const playlist = HLS.parse(text("master.m3u8"));
  return {
    version: playlist.version,
    independentSegments: playlist.independentSegments,
    iframes: playlist.variants.filter((variant) => variant.isIFrameOnly).map((variant) => ({
      uri: variant.uri,
      bandwidth: variant.bandwidth,
      averageBandwidth: variant.averageBandwidth ?? null,
      codecs: variant.codecs,
      resolution: variant.resolution ?? null,
      videoRange: variant.videoRange ?? null,
    })),
    variants: playlist.variants.filter((variant) => !variant.isIFrameOnly).map((variant) => ({
      uri: variant.uri,
      bandwidth: variant.bandwidth,
      averageBandwidth: variant.averageBandwidth,
      codecs: variant.codecs,
      resolution: variant.resolution ?? null,
      frameRate: variant.frameRate ?? null,
      videoRange: variant.videoRange ?? null,
      audio: variant.audio.map(({ uri, name, language, isDefault, channels }) => ({
        uri,
        name,
        language: language ?? "",
        isDefault: Boolean(isDefault),
        channels,
      })),
    })),
  };
}

function media(name) {
  const playlist = HLS.parse(text(name, "index.m3u8"));
  return {
    version: playlist.version,
    type: playlist.playlistType,
    targetDuration: playlist.targetDuration,
    endlist: playlist.endlist,
    segments: playlist.segments.map(({ uri, duration, map }) => ({ uri, duration, map: map?.uri ?? null })),
  };
}

function iframes(name) {
  if (!existsSync(join(folder, name, "iframes.m3u8"))) return null;
  const playlist = HLS.parse(text(name, "iframes.m3u8"));
  return {
    iframesOnly: playlist.isIFrame,
    type: playlist.playlistType,
    targetDuration: playlist.targetDuration,
    endlist: playlist.endlist,
    segments: playlist.segments.map(({ uri, duration, map, byterange }) => ({
      uri,
      duration,
      map: map?.uri ?? null,
      byterange,
      samples: frames(name, uri, byterange),
    })),
  };
}

// The samples that mp4box.js finds behind the init segment in a byte range of a segment: offset there, bytes, key frame.
function frames(name, uri, { offset, length }) {
  const file = createFile();
  const parts = [readFileSync(join(folder, name, "init.mp4")), readFileSync(join(folder, name, uri)).subarray(offset, offset + length)];
  let start = 0;
  for (const part of parts) {
    const buffer = new Uint8Array(part).buffer;
    buffer.fileStart = start;
    file.appendBuffer(buffer);
    start += part.length;
  }
  file.flush();
  const samples = file.getTrackSamplesInfo(file.getInfo().tracks[0].id);
  return samples.map((sample) => ({ offset: sample.offset - parts[0].length, size: sample.size, key: sample.is_sync }));
}

function boxes(name, segments) {
  const file = createFile();
  const found = {};
  file.onError = (module, message) => {
    throw new Error(`${name}: ${module} ${message}`);
  };
  file.onReady = (info) => Object.assign(found, info);
  let offset = 0;
  for (const part of ["init.mp4", ...segments]) {
    const bytes = readFileSync(join(folder, name, part));
    const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    buffer.fileStart = offset;
    offset = file.appendBuffer(buffer) && offset + bytes.byteLength;
  }
  file.flush();
  const track = found.tracks[0];
  const samples = file.getTrackSamplesInfo(track.id);
  return {
    tracks: found.tracks.length,
    brands: found.brands,
    codec: track.codec,
    timescale: track.timescale,
    width: track.video?.width ?? null,
    height: track.video?.height ?? null,
    channels: track.audio?.channel_count ?? null,
    edits: (track.edits ?? []).map((edit) => ({ start: edit.media_time, rate: edit.media_rate_integer })),
    boxes: file.boxes.map((box) => box.type),
    samples: samples.map(({ dts, cts, duration, size, is_sync }) => [dts, cts, duration, size, is_sync]),
  };
}

function mpd() {
  const found = parseMpd(text("manifest.mpd"), { manifestUri: "https://example.invalid/manifest.mpd" });
  const audio = Object.values(found.mediaGroups.AUDIO).flatMap((group) =>
    Object.entries(group).map(([label, track]) => [track.playlists, { label, language: track.language, isDefault: track.default }]),
  );
  const described = (playlist, more) => ({
    ...more,
    name: playlist.attributes.NAME,
    codecs: playlist.attributes.CODECS,
    bandwidth: playlist.attributes.BANDWIDTH,
    resolution: playlist.attributes.RESOLUTION ?? null,
    endList: playlist.endList,
    targetDuration: playlist.targetDuration,
    segments: playlist.segments.map(({ uri, duration, map, presentationTime }) => ({
      uri,
      duration,
      map: map.uri,
      presentationTime,
    })),
  });
  return {
    duration: found.duration,
    minimumUpdatePeriod: found.minimumUpdatePeriod ?? null,
    video: found.playlists.map((playlist) => described(playlist, {})),
    audio: audio.flatMap(([playlists, more]) => playlists.map((playlist) => described(playlist, more))),
  };
}

const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
const playlists = Object.fromEntries(names.map((name) => [name, media(name)]));
const answer = {
  master: master(),
  media: playlists,
  iframes: Object.fromEntries(names.map((name) => [name, iframes(name)])),
  mpd: mpd(),
  boxes: Object.fromEntries(names.map((name) => [name, boxes(name, playlists[name].segments.map(({ uri }) => uri))])),
};
process.stdout.write(JSON.stringify(answer));

"""Files as cameras, phones, editors, recorders and sites of the last decades write them."""

from tests.inputs.case import Case, Plays
from tests.inputs.making import AAC, H264, card, ffmpeg, then

TITLE = "Ordinary files"

_MPEG2 = "-c:v mpeg2video -q:v 3 -bf 2 -g 12 -c:a mp2 -b:a 192k"
_B_FRAMES = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -bf 3"

CASES = (
    Case(
        key="h264-mp4",
        what="H.264 and AAC in MP4.",
        make=card("mp4"),
        outcome=Plays(
            media={"container": "mov", "codec": "h264", "audio_codec": "aac", "frame_rate": 25.0, "width": 160}
        ),
        why="It is what most cameras and editors write.",
    ),
    Case(
        key="h264-mp4-long",
        what="The same, longer than two segments.",
        make=card("mp4", frames=230),
        outcome=Plays(frames=230),
        why="Chunks that were encoded apart join without a seam.",
    ),
    Case(
        key="faststart",
        what="MP4 with its index in front of the media.",
        make=card("mp4", f"{H264} {AAC} -movflags +faststart"),
        outcome=Plays(),
        why="Sites write it that way; it is read by its index in both cases.",
    ),
    Case(
        key="fragmented",
        what="Fragmented MP4, as recorders and packagers write it.",
        make=card("mp4", f"{H264} -g 10 {AAC} -movflags +frag_keyframe+delay_moov+default_base_moof"),
        outcome=Plays(),
        why="It has no index that ffmpeg can seek by, so it is copied into Matroska first.",
    ),
    Case(
        key="cmaf",
        what="CMAF: one file of fragments with decode times of their own.",
        make=card("mp4", f"{H264} -g 10 -bf 2 {AAC} -movflags +cmaf+frag_keyframe+delay_moov+global_sidx"),
        outcome=Plays(),
        why="Packagers keep such files as masters.",
    ),
    Case(
        key="open-gop",
        what="H.264 with B-frames, a pyramid and open GOPs.",
        make=card("mp4", f"{_B_FRAMES} -x264-params open-gop=1:keyint=20 {AAC}", frames=125),
        outcome=Plays(frames=125),
        why="Frames are put on the grid by their time, and every output GOP is closed.",
    ),
    Case(
        key="all-intra",
        what="H.264 with key frames only.",
        make=card("mov", f"{H264} -g 1 {AAC}"),
        outcome=Plays(),
        why="Cameras and editors record it.",
    ),
    Case(
        key="one-key-frame",
        what="One key frame in nine seconds.",
        make=card("mp4", f"{_B_FRAMES} -g 1000 -sc_threshold 0 {AAC}", frames=225),
        outcome=Plays(frames=225),
        why="Each chunk decodes from the key frame on and drops what comes before its own first frame.",
    ),
    Case(
        key="no-b-frames",
        what="H.264 without B-frames, as phones and browsers encode calls.",
        make=card("mp4", f"{H264} -bf 0 -profile:v baseline {AAC}"),
        outcome=Plays(),
        why="Nothing has to be reordered.",
    ),
    Case(
        key="edit-list-start",
        what="MP4 whose edit list hides its first 15 frames.",
        make=then(
            card("mp4", f"{_B_FRAMES} -g 50 {AAC}", frames=50), "-ss 0.6 -i {} -c copy cut.mp4", source="cut.mp4"
        ),
        outcome=Plays(frames=35, numbers=range(15, 50), beeps=(0.9,)),
        why="Phones trim that way. Players show what the edit list shows, and so do the outputs.",
    ),
    Case(
        key="negative-dts",
        what="Matroska whose first decode times are below zero.",
        make=then(
            card("mp4", f"{_B_FRAMES} -g 50 {AAC}", frames=50),
            "-i {} -c copy -avoid_negative_ts disabled negative.mkv",
            source="negative.mkv",
        ),
        outcome=Plays(frames=50),
        why="Only presentation times count.",
    ),
    Case(
        key="late-clock",
        what="MP4 whose clock starts at ten hours.",
        make=card("mp4", f"{H264} {AAC} -output_ts_offset 36000 -movflags +frag_keyframe+delay_moov"),
        outcome=Plays(),
        why="Outputs start at 0, whenever the source's clock does.",
    ),
    Case(
        key="mov",
        what="H.264 and uncompressed audio in QuickTime.",
        make=card("mov", f"{H264} -c:a pcm_s16le"),
        outcome=Plays(media={"container": "mov"}),
        why="Cameras record it.",
    ),
    Case(
        key="m4v",
        what="MP4 named `.m4v`, its first box of the brand M4V.",
        make=card("m4v", f"{H264} {AAC} -f ipod"),
        outcome=Plays(),
        why="It is MP4.",
    ),
    Case(
        key="mkv",
        what="H.264 and AAC in Matroska.",
        make=card("mkv"),
        outcome=Plays(media={"container": "matroska"}),
        why="Screen recorders write it.",
    ),
    Case(
        key="mkv-unfinished",
        what="Matroska that was never finished: no length, no cues.",
        make=card("mkv", f"{H264} -g 10 {AAC} -live 1"),
        outcome=Plays(),
        why="A recorder that crashed, and every live recording, leave such files. They are copied first.",
    ),
    Case(
        key="webm",
        what="VP8 and Vorbis in WebM.",
        make=card("webm", "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -c:a libvorbis"),
        outcome=Plays(media={"container": "matroska", "codec": "vp8", "audio_codec": "vorbis"}),
        why="Browsers record it.",
    ),
    Case(
        key="transport-stream",
        what="H.264 and AAC in an MPEG transport stream.",
        make=card("ts", f"{_B_FRAMES} -g 25 {AAC}", frames=50),
        outcome=Plays(frames=50, media={"container": "mpegts"}),
        why="It is copied into Matroska first, since it has no index.",
    ),
    Case(
        key="m2ts",
        what="A transport stream of AVCHD camcorders and Blu-ray, with AC-3.",
        make=card("m2ts", f"{_B_FRAMES} -g 25 -c:a ac3 -mpegts_m2ts_mode 1", frames=50),
        outcome=Plays(frames=50, media={"container": "mpegts", "audio_codec": "ac3"}),
        why="Its packets of 192 bytes are recognized.",
    ),
    Case(
        key="transport-stream-wraps",
        what="A transport stream whose clock passes its largest value and starts at 0 again.",
        make=card("ts", f"{_B_FRAMES} -g 25 {AAC} -output_ts_offset 95442.7", frames=50),
        outcome=Plays(frames=50),
        why="The clock has 33 bits, 26.5 hours. It goes on where it would be.",
    ),
    Case(
        key="program-stream",
        what="MPEG-2 and MP2 in a program stream.",
        make=card("mpg", f"{_MPEG2} -f vob", frames=50),
        outcome=Plays(frames=50, media={"container": "mpegps", "codec": "mpeg2video"}),
        why="Older camcorders and receivers write it.",
    ),
    Case(
        key="dvd",
        what="MPEG-2 and AC-3 in a VOB.",
        make=card("vob", "-c:v mpeg2video -q:v 3 -bf 2 -g 12 -c:a ac3 -f dvd", frames=50),
        outcome=Plays(frames=50, media={"container": "mpegps"}),
        why="It is copied from a DVD.",
    ),
    Case(
        key="avi",
        what="MPEG-4 and PCM in AVI.",
        make=card("avi", "-c:v mpeg4 -q:v 3 -c:a pcm_s16le", frames=50),
        outcome=Plays(frames=50, media={"container": "avi"}),
        why="AVI has no presentation times; they are worked out while it is copied.",
    ),
    Case(
        key="flash",
        what="H.264 and AAC in FLV.",
        make=card("flv", f"{_B_FRAMES} -g 25 {AAC}", frames=50),
        outcome=Plays(frames=50, media={"container": "flv"}),
        why="Ingest servers record it.",
    ),
    Case(
        key="ogg",
        what="Theora and Vorbis in Ogg.",
        make=card("ogv", "-c:v libtheora -q:v 8 -g 25 -c:a libvorbis", frames=50),
        outcome=Plays(frames=50, media={"container": "ogg", "codec": "theora"}),
        why="Free encyclopedias have it.",
    ),
    Case(
        key="windows-media",
        what="Windows Media Video and Audio in ASF.",
        make=card("wmv", "-c:v wmv2 -q:v 3 -c:a wmav2", frames=50),
        outcome=Plays(frames=50, beeps_within=0.05, media={"container": "asf"}),
        why="Older PCs recorded it.",
    ),
    Case(
        key="material-exchange",
        what="MPEG-2 and uncompressed audio in MXF.",
        make=card("mxf", "-c:v mpeg2video -q:v 3 -g 12 -c:a pcm_s16le", frames=50),
        outcome=Plays(frames=50, media={"container": "mxf"}),
        why="Broadcasters exchange it.",
    ),
    Case(
        key="3gp",
        what="H.263 in 3GP, the size of old phones.",
        make=card("3gp", "-c:v h263 -q:v 8 -an", size=(176, 144)),
        outcome=Plays(size=(176, 144), audio=0, warnings=("no_audio",)),
        why="The first phones with cameras wrote it.",
    ),
    Case(
        key="no-audio",
        what="MP4 without audio.",
        make=card("mp4", f"{H264} -an"),
        outcome=Plays(audio=0, warnings=("no_audio",)),
        why="There is nothing to make an audio rendition of; players play it without.",
    ),
    Case(
        key="silent-audio",
        what="An audio track of nothing but zeros.",
        make=card("mp4", audio="volume=0"),
        outcome=Plays(beeps=()),
        why="Silence is audio, too: its rendition is as long as the video.",
    ),
    Case(
        key="tagged",
        what="MP4 with a location, comments, chapters and a title.",
        make=ffmpeg(
            "-f lavfi -i testsrc2=size=160x90:rate=25:duration=1 -f lavfi -i sine=440:duration=1 -metadata comment=a"
            f" -metadata location=+52.5+13.4/ -metadata title=b {H264} {AAC} tagged.mp4",
            source="tagged.mp4",
        ),
        outcome=Plays(card=None, beeps=(0.0,)),
        why="Nothing of it gets into the outputs.",
    ),
)

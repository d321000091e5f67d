/* A libnvidia-encode.so.1 that encodes H.264 with x264 in the structure that it is asked for.

   It logs what reaches the driver, counts the open sessions of all processes and refuses one too many, and dies when it
   is told to. It proves commands, accounting and fallback; of a GPU's speed and quality it says nothing. */
#include "machine.h"

#include <ffnvcodec/nvEncodeAPI.h>
#include <signal.h>
#include <x264.h>

enum { SMALLEST_WIDTH = 145, SMALLEST_HEIGHT = 49, MOST_B_FRAMES = 4 };

typedef struct {
    unsigned char *planes;
    unsigned pitch, height;
    NV_ENC_BUFFER_FORMAT format;
    int ours;
} Surface;

typedef struct Coded {
    struct Coded *next;
    size_t size;
    int64_t pts;
    NV_ENC_PIC_TYPE type;
    unsigned char bytes[];
} Coded;

typedef struct {
    int device, held[2], frames, key_frames, b_frames, dead;
    const char *reason, *memory;
    x264_t *x264;
    x264_param_t param;
    Coded *first, **last, *shown;
} Session;

/* Lock the lowest free file of a scope; its descriptor, or -1 at the cap. `open_now`: how many are locked then. */
static int slot_taken(const char *scope, int cap, int *open_now) {
    int mine = -1;
    *open_now = 0;
    for (int slot = 0; slot < MOST_SESSIONS; slot++) {
        char name[64], path[TEXT];
        snprintf(name, sizeof name, "sessions/%s-%d", scope, slot);
        machine_path(path, name);
        int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (file < 0) abort();
        int free_slot = !flock(file, LOCK_EX | LOCK_NB);
        *open_now += !free_slot;
        if (free_slot && mine < 0) mine = file;
        else close(file);
    }
    if (cap && *open_now >= cap && mine >= 0) {
        close(mine);
        return -1;
    }
    *open_now += 1;
    return mine;
}

static NVENCSTATUS slots_taken(Session *session) {
    char path[TEXT], scope[32];
    int on_device, on_system;
    machine_path(path, "sessions/lock");
    int one_at_a_time = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    flock(one_at_a_time, LOCK_EX);
    snprintf(scope, sizeof scope, "device-%d", session->device);
    session->held[0] = slot_taken(scope, number_setting("device_sessions", 0), &on_device);
    session->held[1] = slot_taken("system", number_setting("system_sessions", 8), &on_system);
    int full = session->held[0] < 0 || session->held[1] < 0;
    note(full ? "refused" : "open", "\"device\": %d, \"on_device\": %d, \"on_system\": %d", session->device,
         on_device, on_system);
    if (full)
        for (int each = 0; each < 2; each++)
            if (session->held[each] >= 0) close(session->held[each]);
    close(one_at_a_time);
    return full ? NV_ENC_ERR_OUT_OF_MEMORY : NV_ENC_SUCCESS;
}

static NVENCSTATUS open_session(NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS *params, void **out) {
    Session *session = calloc(1, sizeof *session);
    session->device = ((struct CUctx_st *)params->device)->device;
    session->last = &session->first;
    session->reason = session->memory = "";
    NVENCSTATUS status = lost(session->device) ? NV_ENC_ERR_NO_ENCODE_DEVICE : slots_taken(session);
    if (status) free(session);
    else *out = session;
    return status;
}

static NVENCSTATUS destroy(void *encoder) {
    Session *session = encoder;
    note("close", "\"device\": %d, \"frames\": %d, \"key_frames\": %d, \"b_frames\": %d, \"memory\": \"%s\"",
         session->device, session->frames, session->key_frames, session->b_frames, session->memory);
    if (session->x264) x264_encoder_close(session->x264);
    for (int each = 0; each < 2; each++) close(session->held[each]);
    free(session);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS refused(Session *session, NVENCSTATUS status, const char *reason) {
    session->reason = reason;
    return status;
}

/* What it can do. */

static int same(GUID one, GUID other) { return !memcmp(&one, &other, sizeof one); }

static uint32_t codecs(GUID *out) {
    uint32_t count = 0;
    if (listed("codecs", "h264", "h264")) out[count++] = NV_ENC_CODEC_H264_GUID;
    if (listed("codecs", "h264", "hevc")) out[count++] = NV_ENC_CODEC_HEVC_GUID; /* to be refused later */
    return count;
}

static NVENCSTATUS guid_count(void *encoder, uint32_t *count) {
    GUID found[2];
    *count = codecs(found);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS guids(void *encoder, GUID *out, uint32_t size, uint32_t *count) {
    *count = codecs(out);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS caps(void *encoder, GUID codec, NV_ENC_CAPS_PARAM *asked, int *value) {
    switch (asked->capsToQuery) {
    case NV_ENC_CAPS_WIDTH_MAX: case NV_ENC_CAPS_HEIGHT_MAX: *value = 4096; break;
    case NV_ENC_CAPS_NUM_MAX_BFRAMES: *value = MOST_B_FRAMES; break;
    case NV_ENC_CAPS_SUPPORT_CABAC: case NV_ENC_CAPS_SUPPORT_LOOKAHEAD: case NV_ENC_CAPS_SUPPORT_TEMPORAL_AQ:
    case NV_ENC_CAPS_SUPPORT_WEIGHTED_PREDICTION: *value = 1; break;
    case NV_ENC_CAPS_SUPPORT_BFRAME_REF_MODE: *value = 2; break; /* the middle one only */
    default: *value = 0;
    }
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS preset_config(void *encoder, GUID codec, GUID preset, NV_ENC_TUNING_INFO tuning,
                                 NV_ENC_PRESET_CONFIG *out) {
    NV_ENC_CONFIG *config = &out->presetCfg;
    memset(config, 0, sizeof *config);
    config->version = NV_ENC_CONFIG_VER;
    config->profileGUID = NV_ENC_CODEC_PROFILE_AUTOSELECT_GUID;
    config->gopLength = 250;
    config->frameIntervalP = 1;
    config->rcParams.rateControlMode = NV_ENC_PARAMS_RC_VBR;
    config->encodeCodecConfig.h264Config.entropyCodingMode = NV_ENC_H264_ENTROPY_CODING_MODE_CABAC;
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS old_preset_config(void *encoder, GUID codec, GUID preset, NV_ENC_PRESET_CONFIG *out) {
    return preset_config(encoder, codec, preset, NV_ENC_TUNING_INFO_UNDEFINED, out);
}

/* What it is asked for. */

static const char *preset_name(GUID preset) {
    const GUID known[] = {NV_ENC_PRESET_P1_GUID, NV_ENC_PRESET_P2_GUID, NV_ENC_PRESET_P3_GUID, NV_ENC_PRESET_P4_GUID,
                          NV_ENC_PRESET_P5_GUID, NV_ENC_PRESET_P6_GUID, NV_ENC_PRESET_P7_GUID};
    const char *names[] = {"p1", "p2", "p3", "p4", "p5", "p6", "p7"};
    for (int each = 0; each < 7; each++)
        if (same(preset, known[each])) return names[each];
    return "old";
}

static const char *profile_name(GUID profile) {
    if (same(profile, NV_ENC_H264_PROFILE_BASELINE_GUID)) return "baseline";
    if (same(profile, NV_ENC_H264_PROFILE_MAIN_GUID)) return "main";
    return same(profile, NV_ENC_H264_PROFILE_HIGH_GUID) ? "high" : "other";
}

static const char *of(const char *const *names, unsigned count, unsigned index) {
    return index < count ? names[index] : "other";
}

static void note_parameters(Session *session, const NV_ENC_INITIALIZE_PARAMS *asked) {
    const char *const modes[] = {"constqp", "vbr", "cbr"}, *const tunings[] = {"", "hq", "ll", "ull", "lossless"};
    const char *const references[] = {"disabled", "each", "middle"}, *const passes[] = {"disabled", "qres", "fullres"};
    const NV_ENC_CONFIG *config = asked->encodeConfig;
    const NV_ENC_RC_PARAMS *rate = &config->rcParams;
    const NV_ENC_CONFIG_H264 *h264 = &config->encodeCodecConfig.h264Config;
    note("encode",
         "\"device\": %d, \"width\": %u, \"height\": %u, \"frame_rate\": \"%u/%u\", \"preset\": \"%s\", "
         "\"tuning\": \"%s\", \"multipass\": \"%s\", \"rate_control\": \"%s\", \"bitrate\": %u, "
         "\"max_bitrate\": %u, \"vbv_buffer\": %u, \"quality\": %.2f, \"gop\": %u, \"idr_period\": %u, "
         "\"b_frames\": %d, \"b_references\": \"%s\", \"profile\": \"%s\", \"level\": %u, "
         "\"lookahead\": %u, \"spatial_aq\": %u, \"temporal_aq\": %u",
         session->device, asked->encodeWidth, asked->encodeHeight, asked->frameRateNum, asked->frameRateDen,
         preset_name(asked->presetGUID), of(tunings, 5, asked->tuningInfo), of(passes, 3, rate->multiPass),
         of(modes, 3, rate->rateControlMode), rate->averageBitRate, rate->maxBitRate, rate->vbvBufferSize,
         rate->targetQuality + rate->targetQualityLSB / 256.0, config->gopLength, h264->idrPeriod,
         config->frameIntervalP - 1, of(references, 3, h264->useBFramesAsRef), profile_name(config->profileGUID),
         h264->level, rate->enableLookahead ? rate->lookaheadDepth : 0, rate->enableAQ, rate->enableTemporalAQ);
}

static void set_rate(x264_param_t *param, const NV_ENC_RC_PARAMS *rate) {
    param->rc.i_vbv_max_bitrate = number_setting("unbounded", 0) ? 0 : rate->maxBitRate / 1000;
    param->rc.i_vbv_buffer_size = rate->vbvBufferSize / 1000;
    if (rate->rateControlMode == NV_ENC_PARAMS_RC_CONSTQP) {
        param->rc.i_rc_method = X264_RC_CQP;
        param->rc.i_qp_constant = rate->constQP.qpInterP;
    } else if (rate->targetQuality) { /* as the hardware does it: a bit rate beside it is not looked at */
        param->rc.i_rc_method = X264_RC_CRF;
        param->rc.f_rf_constant = rate->targetQuality;
        if (!rate->vbvBufferSize) param->rc.i_vbv_buffer_size = param->rc.i_vbv_max_bitrate; /* our default: a second */
    } else {
        param->rc.i_rc_method = X264_RC_ABR;
        param->rc.i_bitrate = rate->averageBitRate / 1000;
    }
}

static void set_colours(x264_param_t *param, const NV_ENC_CONFIG_H264_VUI_PARAMETERS *vui) {
    if (vui->videoSignalTypePresentFlag) param->vui.b_fullrange = vui->videoFullRangeFlag;
    if (!vui->colourDescriptionPresentFlag) return;
    param->vui.i_colorprim = vui->colourPrimaries;
    param->vui.i_transfer = vui->transferCharacteristics;
    param->vui.i_colmatrix = vui->colourMatrix;
}

static NVENCSTATUS initialize(void *encoder, NV_ENC_INITIALIZE_PARAMS *asked) {
    Session *session = encoder;
    x264_param_t *param = &session->param;
    const NV_ENC_CONFIG *config = asked->encodeConfig;
    const NV_ENC_CONFIG_H264 *h264 = &config->encodeCodecConfig.h264Config;
    if (!same(asked->encodeGUID, NV_ENC_CODEC_H264_GUID))
        return refused(session, NV_ENC_ERR_UNSUPPORTED_PARAM, "the stub encodes H.264 only");
    note_parameters(session, asked);
    if (asked->encodeWidth < SMALLEST_WIDTH || asked->encodeHeight < SMALLEST_HEIGHT)
        return refused(session, NV_ENC_ERR_INVALID_PARAM, "Frame Dimension less than the minimum supported value.");
    x264_param_default_preset(param, "ultrafast", NULL);
    param->i_log_level = X264_LOG_ERROR;
    param->i_threads = 1;
    param->i_width = asked->encodeWidth;
    param->i_height = asked->encodeHeight;
    param->i_csp = X264_CSP_NV12;
    param->i_fps_num = param->i_timebase_den = asked->frameRateNum;
    param->i_fps_den = param->i_timebase_num = asked->frameRateDen;
    param->b_vfr_input = 0;
    param->vui.i_sar_width = asked->darWidth * asked->encodeHeight;
    param->vui.i_sar_height = asked->darHeight * asked->encodeWidth;
    param->i_keyint_max = param->i_keyint_min = config->gopLength;
    param->i_scenecut_threshold = 0;
    param->i_bframe = config->frameIntervalP - 1;
    param->i_bframe_adaptive = X264_B_ADAPT_NONE;
    param->i_bframe_pyramid =
        h264->useBFramesAsRef == NV_ENC_BFRAME_REF_MODE_MIDDLE ? X264_B_PYRAMID_NORMAL : X264_B_PYRAMID_NONE;
    param->i_frame_reference = 3;
    param->i_level_idc = h264->level ? (int)h264->level : -1;
    param->b_repeat_headers = !h264->disableSPSPPS;
    param->b_aud = h264->outputAUD;
    const char *profile = profile_name(config->profileGUID);
    param->b_cabac = strcmp(profile, "baseline") != 0;
    param->analyse.b_transform_8x8 = strcmp(profile, "baseline") && strcmp(profile, "main");
    set_rate(param, &config->rcParams);
    set_colours(param, &h264->h264VUIParameters);
    session->x264 = x264_encoder_open(param);
    return session->x264 ? NV_ENC_SUCCESS : refused(session, NV_ENC_ERR_INVALID_PARAM, "x264 refused");
}

static NVENCSTATUS sequence_params(void *encoder, NV_ENC_SEQUENCE_PARAM_PAYLOAD *out) {
    Session *session = encoder;
    x264_nal_t *nals;
    int count;
    if (x264_encoder_headers(session->x264, &nals, &count) < 0) return NV_ENC_ERR_GENERIC;
    uint32_t size = 0;
    for (int each = 0; each < count; each++) {
        if (nals[each].i_type != NAL_SPS && nals[each].i_type != NAL_PPS) continue;
        if (size + nals[each].i_payload > out->inBufferSize) return NV_ENC_ERR_NOT_ENOUGH_BUFFER;
        memcpy((char *)out->spsppsBuffer + size, nals[each].p_payload, nals[each].i_payload);
        size += nals[each].i_payload;
    }
    *out->outSPSPPSPayloadSize = size;
    return NV_ENC_SUCCESS;
}

/* Pictures in. */

static NVENCSTATUS create_input(void *encoder, NV_ENC_CREATE_INPUT_BUFFER *asked) {
    Surface *surface = calloc(1, sizeof *surface);
    surface->pitch = (asked->width + 63) / 64 * 64;
    surface->height = asked->height;
    surface->format = asked->bufferFmt;
    surface->planes = malloc((size_t)surface->pitch * asked->height * 3 / 2 + surface->pitch);
    surface->ours = 1;
    asked->inputBuffer = surface;
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS destroy_input(void *encoder, NV_ENC_INPUT_PTR buffer) {
    Surface *surface = buffer;
    if (surface->ours) free(surface->planes);
    free(surface);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS lock_input(void *encoder, NV_ENC_LOCK_INPUT_BUFFER *asked) {
    Surface *surface = asked->inputBuffer;
    asked->bufferDataPtr = surface->planes;
    asked->pitch = surface->pitch;
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS register_resource(void *encoder, NV_ENC_REGISTER_RESOURCE *asked) {
    Surface *surface = calloc(1, sizeof *surface);
    surface->pitch = asked->pitch;
    surface->height = asked->height;
    surface->format = asked->bufferFormat;
    surface->planes = asked->resourceToRegister; /* the device's memory is the host's */
    asked->registeredResource = surface;
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS map_resource(void *encoder, NV_ENC_MAP_INPUT_RESOURCE *asked) {
    asked->mappedResource = asked->registeredResource;
    asked->mappedBufferFmt = ((Surface *)asked->registeredResource)->format;
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS unregister_resource(void *encoder, NV_ENC_REGISTERED_PTR resource) {
    return destroy_input(encoder, resource);
}
static NVENCSTATUS nothing(void *encoder, void *what) { return NV_ENC_SUCCESS; }

static NVENCSTATUS set_streams(void *encoder, NV_ENC_CUSTREAM_PTR input, NV_ENC_CUSTREAM_PTR output) {
    return NV_ENC_SUCCESS;
}

static int fill(const Surface *surface, x264_picture_t *picture) {
    unsigned char *chroma = surface->planes + (size_t)surface->pitch * surface->height;
    size_t quarter = (size_t)(surface->pitch / 2) * (surface->height / 2);
    x264_image_t *image = &picture->img;
    image->plane[0] = surface->planes;
    image->i_stride[0] = surface->pitch;
    image->plane[1] = chroma;
    if (surface->format == NV_ENC_BUFFER_FORMAT_NV12) {
        image->i_csp = X264_CSP_NV12;
        image->i_plane = 2;
        image->i_stride[1] = surface->pitch;
        return 1;
    }
    image->i_csp = X264_CSP_YV12;
    image->i_plane = 3;
    image->i_stride[1] = image->i_stride[2] = surface->pitch / 2;
    image->plane[2] = chroma + quarter;
    return surface->format == NV_ENC_BUFFER_FORMAT_YV12;
}

static void keep(Session *session, const x264_nal_t *nals, int size, const x264_picture_t *picture) {
    Coded *coded = malloc(sizeof *coded + size);
    memcpy(coded->bytes, nals[0].p_payload, size);
    coded->size = size;
    coded->pts = picture->i_pts;
    coded->next = NULL;
    coded->type = IS_X264_TYPE_B(picture->i_type) ? NV_ENC_PIC_TYPE_B
                  : picture->b_keyframe           ? NV_ENC_PIC_TYPE_IDR
                                                  : NV_ENC_PIC_TYPE_P;
    session->key_frames += picture->b_keyframe;
    session->b_frames += coded->type == NV_ENC_PIC_TYPE_B;
    *session->last = coded;
    session->last = &coded->next;
}

static NVENCSTATUS coded(Session *session, x264_picture_t *picture) {
    x264_nal_t *nals;
    x264_picture_t out;
    int count, size = x264_encoder_encode(session->x264, &nals, &count, picture, &out);
    if (size < 0) return NV_ENC_ERR_GENERIC;
    if (size) keep(session, nals, size, &out);
    return NV_ENC_SUCCESS;
}

/* Die as the settings say, in the middle of an encode: one of those errors for ever after, or not even that. */
static NVENCSTATUS death(Session *session) {
    char how[TEXT], device[16];
    int after = number_setting("die_after", 0);
    snprintf(device, sizeof device, "%d", session->device);
    if (lost(session->device)) session->dead = NV_ENC_ERR_DEVICE_NOT_EXIST;
    if (session->dead || !after || session->frames < after) return session->dead;
    if (!listed("die_devices", device, device)) return NV_ENC_SUCCESS;
    setting("die_how", "device_not_exist", how);
    note("died", "\"device\": %d, \"frames\": %d, \"how\": \"%s\"", session->device, session->frames, how);
    if (!strcmp(how, "abort")) raise(SIGKILL);
    while (!strcmp(how, "hang")) pause();
    session->dead = strcmp(how, "generic") ? NV_ENC_ERR_DEVICE_NOT_EXIST : NV_ENC_ERR_GENERIC;
    return session->dead;
}

/* ffmpeg asks for the first picture when its queue of surfaces is full, which is later than x264 has it. */
static NVENCSTATUS encode_picture(void *encoder, NV_ENC_PIC_PARAMS *asked) {
    Session *session = encoder;
    x264_picture_t picture;
    if (!session->x264) return NV_ENC_ERR_ENCODER_NOT_INITIALIZED;
    NVENCSTATUS status = death(session);
    if (status) return status;
    if (asked->encodePicFlags & NV_ENC_PIC_FLAG_EOS) {
        while (!status && x264_encoder_delayed_frames(session->x264)) status = coded(session, NULL);
        return status;
    }
    int slow_after = number_setting("slow_after", 0);
    usleep(number_setting(slow_after && session->frames >= slow_after ? "slow_microseconds" : "microseconds", 0));
    x264_picture_init(&picture);
    if (!fill(asked->inputBuffer, &picture)) return refused(session, NV_ENC_ERR_UNSUPPORTED_PARAM, "pixel format");
    session->memory = ((Surface *)asked->inputBuffer)->ours ? "system" : "device";
    picture.i_pts = asked->inputTimeStamp;
    if (asked->encodePicFlags & (NV_ENC_PIC_FLAG_FORCEIDR | NV_ENC_PIC_FLAG_FORCEINTRA)) picture.i_type = X264_TYPE_IDR;
    session->frames++;
    return coded(session, &picture);
}

/* Bits out, in the order of coding. */

static NVENCSTATUS create_bitstream(void *encoder, NV_ENC_CREATE_BITSTREAM_BUFFER *asked) {
    asked->bitstreamBuffer = malloc(1);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS destroy_bitstream(void *encoder, NV_ENC_OUTPUT_PTR buffer) { free(buffer); return NV_ENC_SUCCESS; }

static NVENCSTATUS lock_bitstream(void *encoder, NV_ENC_LOCK_BITSTREAM *asked) {
    Session *session = encoder;
    Coded *coded = session->first;
    if (!coded) return refused(session, NV_ENC_ERR_LOCK_BUSY, "asked for a picture before x264 had it");
    session->first = coded->next;
    if (!session->first) session->last = &session->first;
    session->shown = coded;
    asked->bitstreamBufferPtr = coded->bytes;
    asked->bitstreamSizeInBytes = coded->size;
    asked->outputTimeStamp = coded->pts;
    asked->pictureType = coded->type;
    asked->frameAvgQP = 26;
    asked->numSlices = 1;
    if (asked->sliceOffsets) asked->sliceOffsets[0] = 0;
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS unlock_bitstream(void *encoder, NV_ENC_OUTPUT_PTR buffer) {
    Session *session = encoder;
    free(session->shown);
    session->shown = NULL;
    return NV_ENC_SUCCESS;
}

static const char *last_error(void *encoder) { return ((Session *)encoder)->reason; }

NVENCSTATUS NVENCAPI NvEncodeAPIGetMaxSupportedVersion(uint32_t *version) {
    *version = NVENCAPI_MAJOR_VERSION << 4 | NVENCAPI_MINOR_VERSION; /* too old for an ffmpeg that is newer */
    return NV_ENC_SUCCESS;
}

NVENCSTATUS NVENCAPI NvEncodeAPICreateInstance(NV_ENCODE_API_FUNCTION_LIST *out) {
    out->nvEncOpenEncodeSessionEx = open_session;
    out->nvEncDestroyEncoder = destroy;
    out->nvEncGetEncodeGUIDCount = guid_count;
    out->nvEncGetEncodeGUIDs = guids;
    out->nvEncGetEncodeCaps = caps;
    out->nvEncGetEncodePresetConfig = old_preset_config;
    out->nvEncGetEncodePresetConfigEx = preset_config;
    out->nvEncInitializeEncoder = initialize;
    out->nvEncSetIOCudaStreams = set_streams;
    out->nvEncGetSequenceParams = sequence_params;
    out->nvEncCreateInputBuffer = create_input;
    out->nvEncDestroyInputBuffer = destroy_input;
    out->nvEncLockInputBuffer = lock_input;
    out->nvEncUnlockInputBuffer = nothing;
    out->nvEncRegisterResource = register_resource;
    out->nvEncUnregisterResource = unregister_resource;
    out->nvEncMapInputResource = map_resource;
    out->nvEncUnmapInputResource = nothing;
    out->nvEncEncodePicture = encode_picture;
    out->nvEncCreateBitstreamBuffer = create_bitstream;
    out->nvEncDestroyBitstreamBuffer = destroy_bitstream;
    out->nvEncLockBitstream = lock_bitstream;
    out->nvEncUnlockBitstream = unlock_bitstream;
    out->nvEncGetLastErrorString = last_error;
    return NV_ENC_SUCCESS;
}

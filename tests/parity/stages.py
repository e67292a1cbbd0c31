"""Runs torchvision's detectors stage by stage and keeps every tensor between the stages.

Only torchvision's own functions compute here. Maps are kept as (N, H, W, C). Where the number of rows differs between
images, rows are padded with zeros to a fixed capacity, and the counts are kept as well. `rcnn.cu` uses the same forms.
"""

import copy

import torch
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import fastrcnn_loss
from torchvision.models.detection.rpn import concat_box_prediction_layers
from torchvision.ops import box_iou


def channels_last(tensor):
    return tensor.permute(0, 2, 3, 1).contiguous()


def padded(rows, capacity, fill=0):
    """A list of tensors (n_i, ...) as one tensor (N, capacity, ...)."""
    result = rows[0].new_full((len(rows), capacity, *rows[0].shape[1:]), fill)
    for i, row in enumerate(rows):
        result[i, :len(row)] = row
    return result


def counts(rows):
    return torch.tensor([len(row) for row in rows], dtype=torch.int32)


def rpn_stage(model, images, features):
    """(scores by level, deltas by level, anchors by image, boxes (N, A, 4), scores (N, A), anchors in each level)."""
    maps = list(features.values())
    objectness, deltas = model.rpn.head(maps)
    anchors = model.rpn.anchor_generator(images, maps)
    sizes = [o[0].numel() for o in objectness]
    flat_scores, flat_deltas = concat_box_prediction_layers(list(objectness), list(deltas))
    boxes = model.rpn.box_coder.decode(flat_deltas.detach(), anchors).view(len(anchors), -1, 4)
    return objectness, deltas, anchors, boxes, flat_scores.detach().view(len(anchors), -1), sizes


def detect(model, batch):
    """The tensors of every stage of detection, and by which margin its choices were clear (see `clearance`)."""
    model.eval()
    kept, clear = {}, []
    images, _ = model.transform(batch)
    kept["input/pixels"] = channels_last(images.tensors)
    kept["input/size"] = torch.tensor(images.image_sizes, dtype=torch.float32)
    features = model.backbone(images.tensors)
    for level, name in enumerate(name for name in features if name != "pool"):
        kept[f"features/{level}"] = channels_last(features[name])

    objectness, deltas, anchors, boxes, scores, sizes = rpn_stage(model, images, features)
    for level, (o, d) in enumerate(zip(objectness, deltas)):
        kept[f"rpn/objectness.{level}"] = channels_last(o)
        kept[f"rpn/deltas.{level}"] = channels_last(d)
    kept["anchors/boxes"] = anchors[0]
    proposals, _ = model.rpn.filter_proposals(boxes, scores, images.image_sizes, sizes)
    capacity = model.rpn.post_nms_top_n()
    kept["proposals/boxes"] = padded(proposals, capacity)
    kept["proposals/count"] = counts(proposals)
    clear += [clear_proposals(model, b, s, sizes, size) for b, s, size in zip(boxes, scores, images.image_sizes)]

    heads = model.roi_heads
    pooled = heads.box_roi_pool(features, proposals, images.image_sizes)
    logits, offsets = heads.box_predictor(heads.box_head(pooled))
    rows = [len(p) for p in proposals]
    for name, rows_of in (("pooled/features", channels_last(pooled)), ("head/logits", logits),
                          ("head/offsets", offsets)):
        kept[name] = padded(rows_of.split(rows), capacity).flatten(0, 1)

    max_detections = heads.detections_per_img
    found = heads.postprocess_detections(logits, offsets, proposals, images.image_sizes)
    for name, column in zip(("boxes", "scores", "labels"), found):
        kept[f"detections/{name}"] = padded(column, max_detections)
    kept["detections/labels"] = kept["detections/labels"].to(torch.int32)
    kept["detections/count"] = counts(found[0])
    clear += clear_detections(model, logits, offsets, proposals, images.image_sizes)

    whole = model(batch)
    own = model.transform.postprocess([{"boxes": b} for b in found[0]], images.image_sizes,
                                      [image.shape[-2:] for image in batch])
    assert all(torch.equal(a["boxes"], b["boxes"]) for a, b in zip(whole, own)), "the stages differ from the model"
    return kept, min(clear)


# ---- how clear a choice was: the change of a score or an overlap that is needed before another box is chosen ---------


def clearance(boxes, scores, groups, kept, threshold, max_kept):
    """The smallest change of a score or an IoU that would change `kept`, the indices that NMS chose from the rows.

    Considers every pair of a kept row and another row of its group: how far their IoU is from the threshold and, if
    they overlap, how far their scores are apart. Also considers the score at which the list was cut off.
    """
    gaps = [scores[kept[max_kept - 1]] - scores[kept[max_kept]]] if len(kept) > max_kept else []
    kept = kept[:max_kept]
    for group in groups.unique():
        rows, stay = torch.where(groups == group)[0], kept[groups[kept] == group]
        overlap = box_iou(boxes[stay], boxes[rows])
        ahead = scores[stay][:, None] - scores[rows][None]
        counted = (ahead.abs() > 0) & (overlap > 0)
        gaps.append((overlap - threshold).abs()[counted].min() if counted.any() else torch.tensor(1.0))
        close = ahead[(overlap > threshold) & (ahead != 0)]
        gaps += [close.abs().min()] if len(close) else []
    return float(min(gaps))


def clear_proposals(model, boxes, scores, sizes, image_size):
    rpn, first, taken, groups, gaps = model.rpn, 0, [], [], []
    for level, size in enumerate(sizes):
        count = min(size, rpn.pre_nms_top_n())
        top = scores[first:first + size].sort(descending=True)
        taken.append(top.indices[:count] + first)
        groups.append(torch.full((count,), level))
        gaps += [float(top.values[count - 1] - top.values[count])] if count < size else []
        first += size
    taken, groups = torch.cat(taken), torch.cat(groups)
    boxes = torch.stack([boxes[taken][:, axis::2].clamp(0, image_size[1 - axis]) for axis in (0, 1)], 2).flatten(1)
    scores = scores[taken]
    kept = torch.ops.torchvision.nms(boxes + groups[:, None] * 1e4, scores, rpn.nms_thresh)
    return min(gaps + [clearance(boxes, scores, groups, kept, rpn.nms_thresh, rpn.post_nms_top_n())])


def clear_detections(model, logits, offsets, proposals, image_sizes):
    heads, rows, result = model.roi_heads, [len(p) for p in proposals], []
    decoded = heads.box_coder.decode(offsets, proposals)
    for boxes, scores, size in zip(decoded.split(rows), logits.softmax(1).split(rows), image_sizes):
        boxes = torch.stack([boxes[:, 1:, axis::2].clamp(0, size[1 - axis]) for axis in (0, 1)], 3).flatten(2)
        scores, boxes = scores[:, 1:].flatten(), boxes.flatten(0, 1)
        labels = torch.arange(1, logits.shape[1]).repeat(len(boxes) // (logits.shape[1] - 1))
        above = scores > heads.score_thresh
        gap = float((scores - heads.score_thresh).abs().min())
        boxes, scores, labels = boxes[above], scores[above], labels[above]
        kept = torch.ops.torchvision.nms(boxes + labels[:, None] * 1e4, scores, heads.nms_thresh)
        result.append(min(gap, clearance(boxes, scores, labels, kept, heads.nms_thresh, heads.detections_per_img)))
    return result


# ---- training --------------------------------------------------------------------------------------------------------


def samples(model, batch, targets):
    """The samples of training, drawn by torch: (a dictionary for the file, the argument `chosen` of `losses`, by which
    margin the choice of proposals was clear)."""
    model.train()
    images, targets = model.transform(batch, targets)
    with torch.no_grad():
        features = model.backbone(images.tensors)
        _, _, anchors, boxes, scores, sizes = rpn_stage(model, images, features)
        proposals, _ = model.rpn.filter_proposals(boxes, scores, images.image_sizes, sizes)
    matched, objects = model.rpn.assign_targets_to_anchors(anchors, targets)
    offsets = model.rpn.box_coder.encode(objects, anchors)
    positive, negative = model.rpn.fg_bg_sampler(matched)
    rois, _, labels, roi_offsets = model.roi_heads.select_training_samples(list(proposals), targets)

    taken = torch.stack([p.to(torch.uint8) * 2 + n.to(torch.uint8) for p, n in zip(positive, negative)])
    capacity = model.roi_heads.fg_bg_sampler.batch_size_per_image
    foreground = [o * (l > 0)[:, None] for o, l in zip(roi_offsets, labels)]
    kept = {
        "truth/boxes": padded([t["boxes"] for t in targets], max(len(t["boxes"]) for t in targets)),
        "training/proposals": padded(proposals, model.rpn.post_nms_top_n()),
        "training/proposal_count": counts(proposals),
        # 2: an object, 1: background, 0: neither
        "training/anchors_matched": torch.stack(matched).to(torch.int8).add(1).to(torch.uint8),
        "training/anchors_sampled": taken,
        "training/anchor_offsets": torch.stack(offsets) * (torch.stack(matched) > 0)[:, :, None],
        "training/rois": padded(rois, capacity),
        "training/roi_count": counts(rois),
        "training/roi_labels": padded(labels, capacity, -1).to(torch.int32),
        "training/roi_offsets": padded(foreground, capacity),
    }
    clear = min(clear_proposals(model, b, s, sizes, size) for b, s, size in zip(boxes, scores, images.image_sizes))
    return kept, (images, positive, negative, matched, offsets, rois, labels, roi_offsets), clear


def losses(model, chosen):
    """The four losses on these samples."""
    images, positive, negative, matched, offsets, rois, labels, roi_offsets = chosen
    features = model.backbone(images.tensors)
    maps = list(features.values())
    flat_scores, flat_deltas = concat_box_prediction_layers(*model.rpn.head(maps))
    sampler, model.rpn.fg_bg_sampler = model.rpn.fg_bg_sampler, lambda _: (positive, negative)
    objectness, rpn_box = model.rpn.compute_loss(flat_scores, flat_deltas, matched, offsets)
    model.rpn.fg_bg_sampler = sampler
    heads = model.roi_heads
    pooled = heads.box_roi_pool(features, rois, images.image_sizes)
    classifier, box = fastrcnn_loss(*heads.box_predictor(heads.box_head(pooled)), labels, roi_offsets)
    return {"objectness": objectness, "rpn_box": rpn_box, "classifier": classifier, "box": box}


def three_steps(model, chosen, learning_rate, momentum, weight_decay):
    """Losses and gradients of the first step, and the changes of the parameters after one and three steps of SGD.

    All steps use the same samples. The model's parameters are restored afterwards.
    """
    found = {}
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), learning_rate, momentum=momentum, weight_decay=weight_decay)
    for step in range(3):
        terms = losses(model, chosen)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        if step == 0:
            found.update({f"losses/{name}": value.detach() for name, value in terms.items()})
            found.update({f"gradients/{name}": p.grad.clone() for name, p in model.named_parameters()})
        optimizer.step()
        if step != 1:
            found.update({f"step {step + 1}/{name}": p.detach() - before[name] for name, p in model.named_parameters()})
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(before[name])
    return found


def in_double(model, chosen):
    """Losses and gradients of the first step in double precision, where no activation is within rounding of a kink."""
    images, positive, negative, matched, offsets, rois, labels, roi_offsets = copy.copy(chosen)
    images = ImageList(images.tensors.double(), images.image_sizes)
    wide = [[tensor.double() for tensor in tensors] for tensors in (matched, offsets, rois, roi_offsets)]
    twin = copy.deepcopy(model).double()
    twin.zero_grad()
    terms = losses(twin, (images, positive, negative, wide[0], wide[1], wide[2], labels, wide[3]))
    sum(terms.values()).backward()
    found = {f"double losses/{name}": value.detach().float() for name, value in terms.items()}
    found.update({f"double gradients/{name}": p.grad.float() for name, p in twin.named_parameters()})
    return found


def train(model, batch, targets, sgd, others=4, noise=4e-6):
    """(tensors of `samples`, `three_steps` and `in_double`, margin of the choices, {name: relative change by noise}).

    The gradient of a ReLU or of a maximum jumps where two values meet. Where an activation is within rounding of such a
    jump, rounding decides whether a whole term of a sum is present. Therefore the steps are repeated with `noise` on
    the pixels, which changes the features about as much as rounding does. A tensor that hardly changes is settled.
    """
    kept, chosen, clear = samples(model, batch, targets)
    found = three_steps(model, chosen, **sgd)
    double = in_double(model, chosen)
    images, unsettled = chosen[0].tensors, {}
    for _ in range(others):
        chosen[0].tensors = images + noise * images.abs().max() * (2 * torch.rand_like(images) - 1)
        for name, value in three_steps(model, chosen, **sgd).items():
            change = float((value - found[name]).abs().max() / found[name].abs().max().clamp(min=1e-30))
            unsettled[name] = max(change, unsettled.get(name, 0))
    return {**kept, **found, **double}, clear, unsettled

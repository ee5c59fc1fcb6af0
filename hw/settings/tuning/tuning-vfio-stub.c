/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "tuning.h"

void tuning_device_node(TuningList *list, Object *device)
{
}

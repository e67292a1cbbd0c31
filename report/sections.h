// The sections of the report's page, in the order in which they stand there.
#pragma once

#include <string>
#include <string_view>

#include "report/report.h"

namespace rcnn {

/// Left out where `body` is empty. Introduction and body are HTML.
struct ReportSection {
  std::string_view id, heading;  // the address within the page, and the name
  std::string introduction, body;
};

ReportSection next_steps_section(const ReportData& data);
ReportSection data_section(const ReportData& data);
ReportSection augmentation_section(const ReportData& data);
ReportSection training_section(const ReportData& data);
ReportSection precision_section(const ReportData& data);
ReportSection scores_section(const ReportData& data);
ReportSection confusion_section(const ReportData& data);
ReportSection misses_section(const ReportData& data);
ReportSection worst_section(const ReportData& data);

/// "RBC" as HTML; "background" for label 0, the number for a label without a name.
std::string class_name(const ReportData& data, size_t label);

}  // namespace rcnn

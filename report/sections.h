// The sections of the report's page, in the order of the page.
#pragma once

#include <string>
#include <string_view>

#include "report/report.h"

namespace rcnn {

/// A section of the page. It is left out if `body` is empty. Introduction and body are HTML.
struct ReportSection {
  std::string_view id, heading;  // `id` is also the section's anchor in the page
  std::string introduction, body;
};

/// The first screen, without a heading: the result in figures, and three good pictures and the worst.
std::string render_overview(const ReportData& data);

ReportSection next_steps_section(const ReportData& data);
ReportSection worst_section(const ReportData& data);
ReportSection misses_section(const ReportData& data);
ReportSection false_positives_section(const ReportData& data);
ReportSection confusion_section(const ReportData& data);
ReportSection confidence_section(const ReportData& data);
ReportSection precision_section(const ReportData& data);
ReportSection examples_section(const ReportData& data);
ReportSection training_section(const ReportData& data);
ReportSection data_section(const ReportData& data);
ReportSection augmentation_section(const ReportData& data);
ReportSection faults_section(const ReportData& data);
ReportSection run_section(const ReportData& data);

/// The recall after each stage of the detector, by size, with the settings to change: at the end it is the
/// share of objects that are found. Empty without objects, or if nothing is known of the stages.
std::string stages_table(const Diagnosis& diagnosis);

/// The name of a class as HTML: "RBC"; "background" for label 0; the number for a label without a name.
std::string class_name(const ReportData& data, size_t label);

}  // namespace rcnn

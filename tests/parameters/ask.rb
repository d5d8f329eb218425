# As ask.php does, for Rack, with which Rails and Sinatra read queries.
require 'rack'
name, value = ARGV
STDIN.each_line do |line|
  query = [line.strip].pack('H*')
  read = begin Rack::Utils.parse_nested_query(query) rescue {} end
  sent = read.key?(name) ? (read[name] || '') : nil
  meant = sent.is_a?(Hash) || sent.is_a?(Array) || sent.to_s.scrub.strip.downcase == value
  puts(sent.nil? ? 0 : meant ? 2 : 1)
end

# Sinatra with the optional formats that its documentation shows. sinatra.rb PORT
require 'sinatra/base'

class Site < Sinatra::Base
  set :environment, :production
  set :protection, false
  set :show_exceptions, false
  before { content_type 'text/plain' }
  get('/') { "RAN /\n" }
  get('/admin/?') { "RAN /admin\n" }
  get('/admin/settings') { "RAN /admin/settings\n" }
  get('/secret(.:format)?') { "RAN /secret\n" }
  get('/users(.:format)?') { "RAN /users\n" }
  get('/users/:name(.:format)?') { "RAN /users/#{params['name']}\n" }
  get('/panel/*') { "RAN /panel/#{params['splat'].first}\n" }
  get('/static/*') { "RAN /static/#{params['splat'].first}\n" }
end

Rack::Handler::WEBrick.run(
  Site, Host: '127.0.0.1', Port: ARGV[0].to_i, AccessLog: [], Logger: WEBrick::Log.new($stderr, 1)
)
